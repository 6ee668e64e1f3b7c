"""Who holds the result up: what leaving one cluster out does to the estimate, and to the outcome of all others.

A city that spans the frontier, or that sets the scale on which scores are standardised, moves the outcome of every other city.
A treated one that does so breaks the assumption that nobody's outcome depends on another's treatment.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from syneff.models.resampling.draws import Resampled
from syneff.typing import Float

NAMED = 3  # clusters that the notes name


def influence(
    clusters: Resampled,
    outcome: Float[np.ndarray, "unit period"],
    without: Float[np.ndarray, "cluster unit period"],
    estimates: Float[np.ndarray, " cluster"],
) -> pd.DataFrame:
    """Return what each cluster does, the most influential first.

    Parameters
    ----------
    clusters
        The clusters.
    outcome, without
        The outcome measured on all clusters, and without each; NaN where it is not measured.
    estimates
        The estimate without each cluster.

    Returns
    -------
    pandas.DataFrame
        One row a cluster: ``cluster``, ``estimate`` (without it), ``shift`` and ``largest_shift`` (mean and largest absolute
        change of the others' outcome when it is gone; NaN where nothing can be measured without it).
    """
    shift = without - outcome
    known = np.isfinite(shift)
    counts = known.sum(axis=(1, 2))
    shift, some = np.where(known, shift, 0.0), counts > 0
    frame = pd.DataFrame(
        {
            "cluster": clusters.names,
            "estimate": estimates,
            "shift": np.where(some, shift.sum(axis=(1, 2)) / np.maximum(counts, 1), np.nan),
            "largest_shift": np.where(some, np.abs(shift).max(axis=(1, 2)), np.nan),
        }
    )
    order = frame["shift"].abs().sort_values(kind="stable", ascending=False).index
    return frame.loc[order].reset_index(drop=True)


def influence_notes(frame: pd.DataFrame, estimate: float) -> tuple[str, ...]:
    """Say which clusters the outcome of the others and the estimate depend on most."""
    movers = frame[frame["largest_shift"] > 1e-9]
    if movers.empty:
        return ("no cluster alone moves the outcome of the others",)
    scale = _listed(movers[:NAMED], lambda row: f"{row['cluster']} ({row['shift']:+.4f})")
    change = (frame["estimate"] - estimate).abs().sort_values(kind="stable", ascending=False)
    strongest = _listed(
        frame.loc[change.index[:NAMED]], lambda row: f"{row['cluster']} ({estimate:.4f} becomes {row['estimate']:.4f})"
    )
    return (
        f"{len(movers)} of {len(frame)} clusters move the outcome of the others when left out, on average most: {scale}",
        f"the estimate depends most on {strongest}",
    )


def _listed(rows: pd.DataFrame, word: Callable[[pd.Series], str]) -> str:
    return ", ".join(word(row) for _, row in rows.iterrows())
