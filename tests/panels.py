"""Small panels for tests, built without the code under test."""

import numpy as np
import pandas as pd

from syneff.panel.panel import Panel

CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")


def cube(frame: pd.DataFrame, unit: str, period: str, traits: dict[str, np.ndarray] | None = None) -> Panel:
    """Pivot a frame with numeric columns into a panel; absent rows get weight 0."""
    units, periods = sorted(frame[unit].unique()), sorted(frame[period].unique())
    wide = frame.set_index([unit, period])
    index = pd.MultiIndex.from_product([units, periods])
    wide = wide.reindex(index)
    shape = (len(units), len(periods))
    present = pd.Series(index.isin(frame.set_index([unit, period]).index), index=index)
    columns = {name: wide[name].to_numpy(float).reshape(shape) for name in wide.columns}
    weights = present.to_numpy(float).reshape(shape)
    return Panel(tuple(units), tuple(int(each) for each in periods), columns, traits or {}, weights)


def staggered(seed: int = 0, units: int = 30, periods: int = 8, missing: float = 0.0) -> Panel:
    """Draw a staggered adoption panel with an effect of 1, unit and period effects and two controls."""
    rng = np.random.default_rng(seed)
    first = rng.choice([2, 4, 5, periods + 9], size=units, p=[0.15, 0.2, 0.15, 0.5])
    first[:3] = [2, 4, periods + 9]
    treat = (np.arange(periods)[None, :] >= first[:, None]).astype(float)
    x = rng.normal(size=(units, periods, 2)) + rng.normal(size=(units, 1, 2))
    noise = rng.normal(size=(units, periods))
    y = 5 + rng.normal(size=(units, 1)) + rng.normal(size=(1, periods)) + treat + x @ [0.5, -0.2] + noise
    weights = (rng.uniform(size=(units, periods)) >= missing).astype(float)
    region = np.array([f"region {each}" for each in rng.integers(0, 6, units)], dtype=object)
    columns = {"y": y, "treat": treat, "a": x[:, :, 0], "b": x[:, :, 1]}
    return Panel(tuple(range(units)), tuple(range(2000, 2000 + periods)), columns, {"region": region}, weights)
