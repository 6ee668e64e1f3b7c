"""Reading a table from a file: encodings, labels, and one clear message when a file cannot be read.

Text files from China come in UTF-8, in UTF-8 with a byte-order mark (spreadsheet programs) or in GB 18030 (which holds GBK and
GB 2312). The first two are recognised strictly, so the order of trial matters: almost any bytes decode as GB 18030.
"""

import io
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from syneff.errors import DataError, unknown_name

ENCODINGS = ("utf-8-sig", "gb18030")
MISSING = (".", "..", "…", "—", "--")
KINDS = {".csv": "csv", ".parquet": "parquet", ".dta": "stata", ".xlsx": "excel"}


@dataclass(frozen=True)
class Table:
    """A table as its file has it.

    Attributes
    ----------
    frame
        The cells.
    labels
        Labels of variables, by name, where the file has them.
    """

    frame: pd.DataFrame
    labels: Mapping[str, str] = field(default_factory=dict)


def read(
    path: str | Path | None,
    option: str,
    *,
    kind: str | None = None,
    sheet: str | int = 0,
    texts: Collection[str] | None = None,
) -> Table:
    """Read a table from a file.

    Parameters
    ----------
    path
        The file.
    option
        The option that gave the path, for messages.
    kind
        One of "csv", "parquet", "stata", "excel"; by the ending of the file if None.
    sheet
        Name or number (from 0) of the sheet of a workbook.
    texts
        Columns of a Stata file in which the text of value labels counts, rather than the numbers; all if None.

    Raises
    ------
    DataError
        If the file does not exist, is no table, or has an encoding that is not known.
    """
    file = _existing(path, option)
    kind = kind or KINDS.get(file.suffix.lower())
    if kind is None:
        raise DataError(f"{option}={path}: the file must end in {', '.join(KINDS)}.")
    try:
        if kind == "csv":
            return Table(_csv(file))
        if kind == "parquet":
            return Table(pd.read_parquet(file))
        return _stata(file, texts) if kind == "stata" else Table(_excel(file, sheet))
    except (OSError, ValueError, KeyError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{option}={path} cannot be read as a {kind} table: {reason}") from error


def _existing(path: str | Path | None, option: str) -> Path:
    if path is None:
        raise DataError(f"{option} is not set. Give the path of the data: {option}=FILE.")
    file = Path(path).expanduser()
    if file.is_file():
        return file
    if file.is_dir():
        raise DataError(f"{option}={path} is a folder. Give the path of a file in it.")
    names = [each.name for each in file.parent.iterdir()] if file.parent.is_dir() else []
    near = get_close_matches(file.name, names, n=1, cutoff=0.5)
    where = "" if file.is_absolute() else f" below {Path.cwd()}"
    raise DataError(
        f"{option}={path}: there is no such file{where}."
        + (f" Did you mean {str(file.parent / near[0])!r}?" if near else "")
    )


def decode(content: bytes, name: str) -> str:
    """Decode text in UTF-8, with or without a byte-order mark, or in GB 18030.

    Raises
    ------
    DataError
        If neither fits, naming the line and the byte where each stops.
    """
    stops = []
    for encoding in ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            stops.append(f"{encoding} stops at byte {error.start} (line {line})")
    raise DataError(f"{name} is neither UTF-8 nor GB 18030: {', '.join(stops)}. Save the file as UTF-8.")


def _csv(file: Path) -> pd.DataFrame:
    text = decode(file.read_bytes(), str(file))
    with warnings.catch_warnings():
        # A row with more cells than the header, e.g. an unquoted 1,234, would otherwise be cut with a mere warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(io.StringIO(text), na_values=list(MISSING), index_col=False)


def _stata(file: Path, texts: Collection[str] | None) -> Table:
    # Years in the format %ty must stay numbers, so dates are not converted.
    with pd.read_stata(file, iterator=True, convert_categoricals=False, convert_dates=False) as reader:
        frame = reader.read()  # type: ignore[attr-defined]
        labels = {name: label for name, label in reader.variable_labels().items() if label}
    labelled = [name for name in frame.columns if texts is None or name in texts]
    if labelled:
        categories = pd.read_stata(file, columns=labelled, convert_dates=False)
        frame = frame.assign(**{name: categories[name].astype(object) for name in labelled})
    if _stata_release(file) >= 118:
        return Table(frame, labels)
    return Table(frame.map(_chinese), {name: str(_chinese(label)) for name, label in labels.items()})


def _stata_release(file: Path) -> int:
    with file.open("rb") as stream:
        head = stream.read(64)
    tagged = re.match(rb"<stata_dta><header><release>(\d+)", head)
    return int(tagged[1]) if tagged else head[0]


def _chinese(cell: object) -> object:
    # Before Stata 14 text had the encoding of the computer that wrote it, and pandas reads it as Latin-1. Chinese text is
    # told from Latin letters by GB 2312, in which accented letters must come in pairs.
    if not isinstance(cell, str) or cell.isascii():
        return cell
    try:
        return cell.encode("latin-1").decode("gb2312")
    except UnicodeError:
        return cell


def _excel(file: Path, sheet: str | int) -> pd.DataFrame:
    try:
        with pd.ExcelFile(file, engine="openpyxl") as book:
            if isinstance(sheet, str) and sheet not in book.sheet_names:
                raise DataError(unknown_name("sheet for source.sheet:", sheet, book.sheet_names))
            return pd.read_excel(book, sheet_name=sheet, na_values=list(MISSING))
    except BadZipFile as error:
        raise ValueError("the file is no xlsx workbook") from error
