"""Rules on the cells of a table, and the sentences that name the cells which break them.

A `Rule` is a column, a predicate over its cells and a sentence for the reader. `failures` turns rules into one pandera schema
and validates it lazily, so that all that is wrong is found in one pass, and names every cell by city, year and value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

SHOWN = 5


@dataclass(frozen=True)
class Rule:
    """A requirement on the cells of a column.

    Attributes
    ----------
    column
        Name of the column.
    holds
        Takes the cells that are not missing (all cells if `missing_too`) and says of each whether it is right.
    sentence
        What the user reads; ``{cells}`` stands for the cells that fail.
    missing_too
        Whether missing cells are judged as well.
    shows_value
        Whether the cells are listed with what they hold.
    """

    column: str
    holds: Callable[[pd.Series], pd.Series]
    sentence: str
    missing_too: bool = False
    shows_value: bool = True


def holds_everywhere(frame: pd.DataFrame, rule: Rule) -> bool:
    """Return whether no cell of the frame breaks the rule."""
    cells = frame[rule.column]
    return bool(rule.holds(cells if rule.missing_too else cells.dropna()).all())


def failures(frame: pd.DataFrame, rules: Sequence[Rule], rows: Callable[[], Sequence[str]]) -> list[str]:
    """Validate a frame against rules, lazily, and word what fails: one sentence a rule.

    Parameters
    ----------
    frame
        A table with a plain index.
    rules
        Requirements on it.
    rows
        Names the rows, e.g. "Beijing 2004"; called only if something fails.
    """
    import pandera.pandas as pandera

    def column(name: str) -> pandera.Column:
        checks = [
            pandera.Check(rule.holds, error=str(number), ignore_na=not rule.missing_too)
            for number, rule in enumerate(rules)
            if rule.column == name
        ]
        return pandera.Column(None, checks, nullable=True)

    schema = pandera.DataFrameSchema({name: column(name) for name in dict.fromkeys(rule.column for rule in rules)})
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        names = rows()
        found = errors.failure_cases.groupby("check")["index"]
        broken = {int(str(number)): sorted(int(row) for row in index) for number, index in found}
        return [_worded(rules[number], frame, broken[number], names) for number in sorted(broken)]
    return []


def _worded(rule: Rule, frame: pd.DataFrame, broken: Sequence[int], names: Sequence[str]) -> str:
    cells = frame[rule.column]
    items = (f"{names[row]} ({_shown(cells[row])})" if rule.shows_value else names[row] for row in broken)
    return rule.sentence.replace("{cells}", listed(items))


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def listed(items: Iterable[str], shown: int = SHOWN) -> str:
    """List the first few of the distinct items, and the number of the others."""
    every = list(dict.fromkeys(items))
    rest = len(every) - shown
    return ", ".join(every[:shown]) + (f" and {rest} more" if rest > 0 else "")


def unit_names(units: Sequence[object], texts: Mapping[str, Sequence[object]]) -> tuple[str, ...]:
    """Name units for a reader: the identifier, followed, if it is a number, by the first text that tells all units apart.

    Parameters
    ----------
    units
        Identifiers.
    texts
        Text traits by name, each with one entry a unit.
    """
    if not all(isinstance(each, str) for each in units):
        for entries in texts.values():
            if all(isinstance(entry, str) for entry in entries) and len(set(entries)) == len(units):
                return tuple(f"{each} {entry}" for each, entry in zip(units, entries, strict=True))
    return tuple(str(each) for each in units)
