"""Weights from files: tables of pairs or matrices (csv, xlsx, parquet, dta), GAL and GWT, and maps of polygons.

Whatever the file, its identifiers are matched with the units by their text, so that 110000 in a table is 110000 in a panel,
whether either was read as a number. A matrix names its units in its header and its first column; one without names is refused,
because nothing would say that its order is that of the panel.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from syneff.errors import DataError, unknown_name
from syneff.panel import files
from syneff.panel.rules import listed
from syneff.spatial.links import pair_links
from syneff.spatial.options import Options, joined
from syneff.spatial.weights import Weights

GRAPHS = (".gal", ".gwt")
MAPS = (".shp", ".geojson", ".gpkg")


def read_weights(
    path: str | Path | None,
    *,
    ids: Sequence[object] | None = None,
    columns: tuple[str, str, str] = ("focal", "neighbor", "weight"),
    one_way: str = "refuse",
    **options: Unpack[Options],
) -> Weights:
    """Read weights from a file.

    Parameters
    ----------
    path
        The file; its ending says what it is.
    ids
        The units that should enter: others of the file are left out and noted. All of the file if None.
    columns
        Names of the columns of a table of pairs: the unit, one that matters to it, and a weight, 1 where there is none. Of a
        map the first names the identifier; polygons that share a point are neighbours.
    one_way
        For pairs; see `syneff.spatial.links.pair_links`.
    options
        See `Options`.

    Raises
    ------
    DataError
        If the file cannot be read, its identifiers are not those of the units, or the links are no weights.
    """
    drawn = path is not None and Path(path).suffix.lower() in (*GRAPHS, *MAPS)
    frame = _graph(Path(str(path)), columns[0]) if drawn else files.read(path, "weights.path").frame
    if set(columns[:2]) <= set(frame.columns):
        return _from_pairs(frame, ids, columns, one_way=one_way, options=options)
    return _from_matrix(frame, ids, columns, options=options)


def _graph(path: Path, identifier: str) -> pd.DataFrame:
    """Return the matrix of a graph with its names."""
    from libpysal.graph import Graph, read_gal, read_gwt

    file = path.expanduser()
    if not file.is_file():
        raise DataError(f"weights.path={path}: there is no such file below {Path.cwd()}.")
    try:
        if path.suffix.lower() in MAPS:
            graph = Graph.build_contiguity(_polygons(file, identifier), rook=False)
        else:
            graph = (read_gal if path.suffix.lower() == ".gal" else read_gwt)(str(file))
    except (RuntimeError, ValueError, KeyError, IndexError, StopIteration) as error:
        raise DataError(f"weights.path={path} cannot be read: {' '.join(str(error).split())}") from error
    matrix = pd.DataFrame(graph.sparse.todense(), index=graph.unique_ids, columns=graph.unique_ids.astype(str))
    return matrix.reset_index(names="unit")


def _polygons(file: Path, identifier: str) -> pd.DataFrame:
    """Return the polygons of a map, one a unit, by their identifiers."""
    import geopandas

    frame = geopandas.read_file(file)
    if identifier not in frame.columns:
        remedy = "Name the identifier of the polygons first in weights.columns."
        raise DataError(unknown_name("column of the map:", identifier, frame.columns, remedy))
    named = frame.assign(**{identifier: _texts(frame[identifier])})
    # A city may consist of several polygons, e.g. its islands.
    found: pd.DataFrame = named.dissolve(identifier)
    return found


def _from_pairs(
    frame: pd.DataFrame,
    ids: Sequence[object] | None,
    columns: tuple[str, str, str],
    *,
    one_way: str,
    options: Options,
) -> Weights:
    """Make weights of a table of pairs; a unit in none of them is an island."""
    empty = frame[list(columns[:2])].isna().any(axis=1)
    if empty.any():
        raise DataError(
            f"weights: {empty.sum()} pairs lack an identifier: rows {listed(map(str, frame.index[empty] + 2))}."
        )
    focal, neighbour = (_texts(frame[name]) for name in columns[:2])
    found = list(dict.fromkeys([*focal, *neighbour]))
    units = sorted(found) if ids is None else list(ids)
    place, remarks = _placed(found, units)
    inside = np.array([i in place and j in place for i, j in zip(focal, neighbour, strict=True)], dtype=bool)
    weight = frame[columns[2]].to_numpy(dtype=float)[inside] if columns[2] in frame.columns else None
    pairs = [[place[each] for each, is_in in zip(side, inside, strict=True) if is_in] for side in (focal, neighbour)]
    links = pair_links(pairs[0], pairs[1], weight, units, one_way=one_way)
    return Weights.from_dense(links, ids=units, **_remarked(options, remarks))


def _from_matrix(
    frame: pd.DataFrame, ids: Sequence[object] | None, columns: tuple[str, str, str], *, options: Options
) -> Weights:
    """Make weights of a matrix whose header and first column name the units."""
    rows, header = _texts(frame.iloc[:, 0]), [str(name) for name in frame.columns[1:]]
    if len(frame) + 1 != frame.shape[1] or set(rows) != set(header):
        raise DataError(
            f"weights: a table of {len(frame)} rows and {frame.shape[1]} columns is neither pairs nor a matrix with names. "
            f"{unknown_name('column', columns[0], frame.columns[:5])} Pairs need the columns {columns[0]} and {columns[1]} "
            "(or weights.columns); a matrix needs its units in the header and, the same ones, in the first column."
        )
    matrix = frame.iloc[:, 1:].set_axis(header, axis=1).set_axis(rows, axis=0)
    if ids is None:
        return Weights.from_dense(matrix, **options)
    place, remarks = _placed(rows, ids)
    inverse = {unit: text for text, unit in place.items()}
    absent = [str(unit) for unit in ids if unit not in inverse]
    if absent:
        raise DataError(
            f"weights: {len(absent)} of {len(ids)} units have no row in the matrix: {listed(absent)}. Its units begin "
            f"{listed(rows)}. Use the same identifiers in both."
        )
    texts = [inverse[unit] for unit in ids]
    links = matrix.loc[texts, texts].to_numpy(dtype=float)
    return Weights.from_dense(links, ids=list(ids), **_remarked(options, remarks))


def _texts(cells: pd.Series) -> list[str]:
    """Return identifiers as text; whole numbers that were read as floats lose their point."""
    return [str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip() for cell in cells]


def _placed(found: Sequence[str], units: Sequence[object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Match texts with units; say which texts are none."""
    known = {str(unit): unit for unit in units}
    place = {text: known[text] for text in found if text in known}
    if not place:
        raise DataError(
            f"weights: no identifier of the file is a unit: the file has {listed(found)}; the units are {listed(known)}. "
            "Use the same identifiers in both."
        )
    others = [text for text in found if text not in known]
    return place, (f"{len(others)} units of the file are not in the sample: {listed(others)}",) if others else ()


def _remarked(options: Options, remarks: tuple[str, ...]) -> Options:
    return joined(options, Options(remarks=(*options.get("remarks", ()), *remarks)))
