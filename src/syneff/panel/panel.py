"""The panel: a cube unit x period x variable with a weight on every cell.

Rows are never dropped: a city-year that is missing, or that a subsample leaves out, has weight 0. So every regression of one
specification has one shape, compiles once, and unit effects, clusters and spatial lags are operations along an axis.

A `Panel` lives on the host (NumPy); estimators turn the columns they need into arrays of the device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from syneff.errors import DataError, unknown_name
from syneff.panel import schema
from syneff.panel.rules import unit_names
from syneff.typing import HostTrait, HostUnitPeriod


@dataclass(frozen=True)
class Variable:
    """What a column means.

    Attributes
    ----------
    label, label_zh
        The name to print, in English and in Chinese.
    unit
        The physical unit, e.g. "10^8 yuan, 2004 prices"; "-" for a pure number.
    """

    label: str = ""
    label_zh: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Truth:
    """What is known to be true of a synthetic panel.

    Attributes
    ----------
    coefficients
        True value by term, e.g. ``{"treat": 0.04, "event[0]": 0.03}``: what a regression of `outcome` on the treatment and all
        controls converges to.
    note
        Where the values come from, in a sentence that the report prints.
    outcome
        The outcome of `coefficients`; "" for any.
    outcomes
        True values by term of regressions of other outcomes, by outcome.
    given
        True values by term where one more regressor joins the controls, by its name.
    parts
        What else is true, by name: the parts of the effect, and what other estimators converge to.
    """

    coefficients: Mapping[str, float]
    note: str = ""
    outcome: str = ""
    outcomes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """A cube unit x period x variable with weights.

    Attributes
    ----------
    units
        Unit identifiers, in the order of the first axis.
    periods
        Periods, ascending, in the order of the second axis.
    columns
        Arrays ``[unit period]`` by name; NaN where a value is missing.
    traits
        Arrays ``[unit]`` by name: what does not change over time (text or number).
    weights
        ``[unit period]``; 0 where the row is not in the sample.
    variables
        Label and unit of each column and trait.
    notes
        What the steps did to the data, in order; the report prints them.
    truth
        The known truth, if the panel is synthetic.
    details
        Frames by name that steps leave for tables and figures, e.g. the balance of a matched sample.
    """

    units: tuple[object, ...]
    periods: tuple[int, ...]
    columns: Mapping[str, HostUnitPeriod]
    traits: Mapping[str, HostTrait]
    weights: HostUnitPeriod
    variables: Mapping[str, Variable] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    truth: Truth | None = None
    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.units), len(self.periods))
        for name, values in {**self.columns, "weights": self.weights}.items():
            if values.shape != shape:
                raise DataError(
                    f"column {name!r} has shape {values.shape}, but the panel has {shape[0]} units x {shape[1]} periods."
                )
        for name, trait in self.traits.items():
            if trait.shape != shape[:1]:
                raise DataError(f"trait {name!r} has shape {trait.shape}, but the panel has {shape[0]} units.")
            if name in self.columns:
                raise DataError(f"{name!r} is both a column and a trait of the panel. Give one of them another name.")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of units and of periods."""
        return len(self.units), len(self.periods)

    @property
    def sample(self) -> np.ndarray:
        """Boolean ``[unit period]``: rows with a positive weight."""
        return np.asarray(self.weights > 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the units for a reader: the identifier, with a text trait that tells them apart if it is a number."""
        return unit_names(
            self.units, {name: tuple(each) for name, each in self.traits.items() if each.dtype.kind in "OUT"}
        )

    def column(self, name: str) -> HostUnitPeriod:
        """Return a column, or a numeric trait spread over the periods, by name.

        Raises
        ------
        DataError
            If there is no such column, or it is text; the message names the nearest one.
        """
        if name in self.columns:
            return self.columns[name]
        if name in self.traits and np.issubdtype(self.traits[name].dtype, np.number):
            return np.repeat(self.traits[name].astype(float)[:, None], len(self.periods), axis=1)
        if name in self.traits:
            raise DataError(f"trait {name!r} is no number, but a column of numbers is needed. Name another.")
        raise DataError(
            unknown_name("column", name, [*self.columns, *self.traits], "Rename columns with source.rename={old: new}.")
        )

    def label(self, name: str, language: str = "en") -> str:
        """Return the label of a column, or its name where it has none."""
        variable = self.variables.get(name, Variable())
        return (variable.label_zh if language == "zh" else variable.label) or name

    def assign(
        self,
        columns: Mapping[str, HostUnitPeriod],
        variables: Mapping[str, Variable] | None = None,
        note: str | None = None,
    ) -> "Panel":
        """Return a panel with columns added or replaced.

        Parameters
        ----------
        columns
            Arrays ``[unit period]`` by name.
        variables
            Labels and units of the new columns.
        note
            A sentence for the report.
        """
        return replace(
            self,
            columns={**self.columns, **columns},
            variables={**self.variables, **(variables or {})},
            notes=self.notes + ((note,) if note else ()),
        )

    def reweight(self, weights: HostUnitPeriod, note: str | None = None) -> "Panel":
        """Return a panel with other weights ``[unit period]``; a weight of 0 takes the row out of the sample."""
        return replace(self, weights=weights, notes=self.notes + ((note,) if note else ()))

    def detail(self, details: Mapping[str, pd.DataFrame], note: str | None = None) -> "Panel":
        """Return a panel with frames added that tables and figures need."""
        return replace(self, details={**self.details, **details}, notes=self.notes + ((note,) if note else ()))

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        unit: str,
        period: str,
        *,
        weight: str | None = None,
        traits: Sequence[str] = (),
        variables: Mapping[str, Variable] | None = None,
        treatment: str | None = None,
    ) -> "Panel":
        """Build a panel from a frame with one row a unit and period; what is missing gets weight 0.

        Parameters
        ----------
        frame
            One row a unit and period. Columns that are not numeric must be constant within units: they become traits.
        unit, period
            Names of the identifying columns.
        weight
            Name of a column of weights; 1 on every row present if None.
        traits
            Names of columns to keep as traits, besides those that are text. A missing number is NaN, a missing text None.
        variables
            Labels and units.
        treatment
            Name of a treatment to check: known, 0 or 1, and never switched off.

        Returns
        -------
        Panel
            Units sorted by identifier, whatever the order of the rows; columns and traits in the frame's order.

        Raises
        ------
        DataError
            All that is wrong with the frame at once; see `syneff.panel.schema.validate`.
        """
        rows = schema.validate(frame, unit, period, weight=weight, traits=traits, treatment=treatment)
        units = tuple(rows[unit].unique())
        first = int(rows[period].min())
        periods = tuple(range(first, int(rows[period].max()) + 1))
        at = (pd.Index(units, dtype=object).get_indexer(rows[unit]), rows[period].to_numpy() - first)

        def cube(cells: pd.Series | float, empty: float) -> np.ndarray:
            values = np.full((len(units), len(periods)), empty)
            values[at] = cells
            return values

        names = [name for name in rows.columns if name not in (unit, period, weight)]
        fixed = [name for name in names if name in traits or rows[name].dtype == object]
        firsts = rows.groupby(unit, sort=False)
        return cls(
            units=units,
            periods=periods,
            columns={name: cube(rows[name], np.nan) for name in names if name not in fixed},
            traits={name: trait_values(firsts[name].first()) for name in fixed},
            weights=cube(1.0 if weight is None else rows[weight], 0.0),
            variables=dict(variables or {}),
        )

    def to_frame(self, *, sample_only: bool = False) -> pd.DataFrame:
        """Return one row a unit and period, sorted, with columns ``unit``, ``period``, ``weight``, columns and traits.

        `from_frame`, with ``weight="weight"`` and the numeric traits named, makes the same panel of it, whatever the weights.
        `variables`, `notes`, `truth` and `details` have no place in a frame. A trait without any value comes back as a
        numeric one.

        Parameters
        ----------
        sample_only
            Leave out the rows of weight 0: the frame for a regression elsewhere. A unit or a year without any row in the
            sample is then gone.
        """
        n_units, n_periods = self.shape
        frame = pd.DataFrame(
            {
                "unit": np.repeat(np.asarray(self.units, dtype=object), n_periods),
                "period": np.tile(np.asarray(self.periods), n_units),
                "weight": self.weights.ravel(),
                **{name: values.ravel() for name, values in self.columns.items()},
                **{name: np.repeat(trait, n_periods) for name, trait in self.traits.items()},
            }
        ).infer_objects()
        return frame[frame["weight"] > 0].reset_index(drop=True) if sample_only else frame


def trait_values(cells: pd.Series) -> HostTrait:
    """Return the array of a trait: float64 for numbers (NaN if missing), objects for text (None if missing)."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(dtype=float)
    return np.array([None if pd.isna(cell) else str(cell) for cell in cells], dtype=object)
