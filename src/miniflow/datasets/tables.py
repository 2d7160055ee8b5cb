"""Tables in CSV files: numbers and categories become numbers that a network can learn from, and
text in the column to be predicted becomes names of classes.

What is done to the columns is found once, in the file that is trained on, and kept in the model
file (`TableForm`), so that rows are read in the same way when the model predicts:

    number      less the mean, divided by the standard deviation
    category    a column of ones and zeros for each value, in alphabetical order
"""

from __future__ import annotations

import csv
import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.datasets.splits import Part, Splits, make_splits
from miniflow.errors import DataError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_CATEGORIES = 256  # values of a column of text; more is a name or a number of something
MOST_CLASSES = 1000
Path = str | os.PathLike[str]


def is_table(path: Any) -> bool:
    """Whether a path is that of a CSV file, by its ending."""
    return str(path).lower().endswith(".csv")


class CsvRows:
    """The rows of a CSV file with a header.

    Raises DataError, with the file and the row, if it is not one; OSError if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                lines = [line for line in csv.reader(file, strict=True) if any(line)]
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}: is no text in UTF-8 ({shown(error)}): save it as that, in a "
                "spreadsheet as CSV UTF-8."
            ) from error
        except csv.Error as error:
            raise DataError(f"{self.path}: is no CSV file: {shown(error)}.") from error
        if len(lines) < 2:
            raise DataError(f"{self.path}: has no rows: it takes a header and a row or more.")
        self.header = [name.strip() for name in lines[0]]
        self._cells = [[cell.strip() for cell in line] for line in lines[1:]]
        for name, separator in (("semicolons", ";"), ("tabs", "\t")):
            if len(self.header) == 1 and separator in self.header[0]:
                raise DataError(
                    f"{self.path}: its cells are separated by {name}: save it with commas between "
                    "them, and with points in its numbers."
                )
        for name in self.header:
            if not name or self.header.count(name) > 1:
                what = f"two columns are called {shown(name)!r}" if name else "a column has no name"
                raise DataError(f"{self.path}: {what}; the first line names each column once.")
        for row, cells in enumerate(self._cells, 1):
            if len(cells) != len(self.header):
                raise DataError(
                    f"{self.path}: row {row} has {len(cells)} cells, and the header "
                    f"{len(self.header)}."
                )

    def __len__(self) -> int:
        return len(self._cells)

    def column(self, name: str) -> list[str]:
        """The cells of a column. Raises DataError if there is none, or a cell is empty."""
        if name not in self.header:
            names = shown(", ".join(self.header), 400)
            raise DataError(f"{self.path}: has no column {shown(name)!r}; it has {names}.")
        place = self.header.index(name)
        cells = [row[place] for row in self._cells]
        if "" in cells:
            raise DataError(
                f"{self.path}: row {cells.index('') + 1} has no value for {shown(name)!r}: fill it "
                "in, or leave out the row or the column."
            )
        return cells


@dataclass(frozen=True)
class TableColumn:
    """How a column is read: as a category with these values, or, without any, as a number."""

    name: str
    values: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    def read(self, rows: CsvRows) -> NDArray[np.float64]:
        """The column as (n, 1) numbers, or (n, k) ones and zeros."""
        cells = rows.column(self.name)
        if not self.values:
            numbers = [_number(cell) for cell in cells]
            for row, (cell, number) in enumerate(zip(cells, numbers, strict=True), 1):
                if number is None or not math.isfinite(number):
                    raise DataError(
                        f"{rows.path}: row {row} has {shown(cell, 40)!r} for {shown(self.name)!r}, "
                        "where a finite number is needed."
                    )
            return ((np.array(numbers, float) - self.mean) / self.scale)[:, None]
        for row, cell in enumerate(cells, 1):
            if cell not in self.values:
                raise DataError(
                    f"{rows.path}: row {row} has {shown(cell, 40)!r} for {shown(self.name)!r}, "
                    f"which is one of {shown(', '.join(self.values))}."
                )
        ones: NDArray[np.float64] = np.eye(len(self.values))[_places(cells, self.values)]
        return ones


@dataclass(frozen=True)
class TableForm:
    """How the rows of a table become those that a network takes."""

    target: str
    columns: tuple[TableColumn, ...]

    def read(self, rows: CsvRows) -> NDArray[np.float32]:
        """The rows as numbers; columns that are not known are left out."""
        return np.concatenate([c.read(rows) for c in self.columns], axis=1).astype(np.float32)

    def as_notes(self) -> dict[str, Any]:
        """For a model file."""
        return asdict(self)


def form_in(notes: Any) -> TableForm | None:
    """The form that a model file's notes have; None if they have none: they may be anybody's."""
    try:
        kept = notes["table"]
        columns = tuple(
            TableColumn(
                str(c["name"]), tuple(map(str, c["values"])), float(c["mean"]), float(c["scale"])
            )
            for c in kept["columns"]
        )
    except (LookupError, TypeError, ValueError):
        return None
    numbers = [number for c in columns for number in (c.mean, c.scale)]
    if not columns or not all(map(math.isfinite, numbers)) or any(not c.scale for c in columns):
        return None
    return TableForm(str(kept.get("target", "")), columns)


def load_table(path: Path, target: str) -> tuple[TableForm, Splits]:
    r"""A CSV file as data to classify, and the form in which its rows were read.

    A column whose cells are all numbers is one of numbers, any other a category. What is set aside
    for validation and test is as for an `.npz` file.

    Args:
        path: the file; its first line has the names of the columns.
        target: the column to predict: text, or whole numbers; they become the names of classes.

    Raises DataError, with the file and what is wrong in it; OSError if it cannot be opened.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "pets.csv")
    ...     lines = ["weight,fur,kind", "4,short,cat", "20,long,dog", "5,long,cat", "9,short,dog"]
    ...     _ = path.write_text("\n".join(lines))
    ...     form, splits = load_table(path, "kind")
    >>> [column.values for column in form.columns], splits.train.class_names
    ([(), ('long', 'short')], ('cat', 'dog'))
    """
    rows = CsvRows(path)
    classes = _classes(rows, target)
    columns = tuple(_column(rows, name) for name in rows.header if name != target)
    if not columns:
        raise DataError(f"{rows.path}: has no column beside {target!r} to learn from.")
    form = TableForm(target, columns)
    return form, table_splits(rows, form, classes)


def table_splits(rows: CsvRows, form: TableForm, classes: Sequence[str]) -> Splits:
    """The rows in a form that is known, with labels of these classes.

    Raises DataError where a value or a class is not known.
    """
    part = Part(form.read(rows), _labels(rows, form.target, classes))
    splits = make_splits(rows.path, part, keep_labels=True)
    for data in splits:
        data.class_names = tuple(classes)
    return splits


def _labels(rows: CsvRows, target: str, classes: Sequence[str]) -> NDArray[np.int64]:
    cells = rows.column(target)
    for row, cell in enumerate(cells, 1):
        if cell not in classes:
            raise DataError(
                f"{rows.path}: row {row} has {shown(cell, 40)!r} for {shown(target)!r}, which is "
                f"one of {shown(', '.join(classes))}."
            )
    return _places(cells, classes)


def _classes(rows: CsvRows, target: str) -> tuple[str, ...]:
    cells = rows.column(target)
    numbers = [_number(cell) for cell in cells]
    if any(number is not None and number != round(number) for number in numbers if _finite(number)):
        raise DataError(
            f"{rows.path}: {target!r} has fractions: what is predicted is a class, by its name or "
            "its number."
        )
    found = sorted(set(cells))
    if all(_finite(number) for number in numbers):
        found.sort(key=float)
    if not 2 <= len(found) <= MOST_CLASSES:
        raise DataError(
            f"{rows.path}: {target!r} has {len(found):,} different values, where 2 to "
            f"{MOST_CLASSES:,} classes are needed."
        )
    return tuple(found)


def _places(cells: Sequence[str], values: Sequence[str]) -> NDArray[np.int64]:
    """Where each cell is among the values."""
    places = {value: place for place, value in enumerate(values)}
    return np.array([places[cell] for cell in cells], np.int64)


def _column(rows: CsvRows, name: str) -> TableColumn:
    cells = rows.column(name)
    numbers = [_number(cell) for cell in cells]
    if all(number is not None for number in numbers):
        finite = [number for number in numbers if _finite(number)]
        values = np.array(finite or [0.0], float)
        # In units of a power of two, which rounds nothing: squares neither overflow nor vanish.
        unit = math.ldexp(1.0, math.frexp(float(np.abs(values).max()))[1] - 1)
        mean, scale = (float(x) * unit for x in ((values / unit).mean(), (values / unit).std()))
        return TableColumn(name, (), mean, scale if 0 < scale < math.inf else 1.0)
    found = sorted(set(cells))
    if len(found) > MOST_CATEGORIES:
        raise DataError(
            f"{rows.path}: {name!r} has {len(found):,} different values; of a category at most "
            f"{MOST_CATEGORIES} are taken: leave the column out."
        )
    return TableColumn(name, tuple(found))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _finite(number: float | None) -> bool:
    return number is not None and math.isfinite(number)
