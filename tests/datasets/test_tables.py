"""Tables in CSV files: columns become numbers, in one form for training and prediction."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from miniflow.datasets.tables import CsvRows, TableForm, form_in, load_table, table_splits
from miniflow.errors import DataError

LINES = ["a, fur ,kind", "1,short,cat", "3,long,dog", "5,long,cat", "7,short,10"]


def write(path: pathlib.Path, lines: list[str]) -> pathlib.Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_numbers_are_scaled_and_categories_are_ones_and_zeros(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "t.csv", LINES)
    form, splits = load_table(path, "kind")
    rows = form.read(CsvRows(path))
    assert rows.dtype == np.float32
    scaled = (np.array([1, 3, 5, 7]) - 4) / np.sqrt(5)
    np.testing.assert_allclose(rows, np.c_[scaled, [0, 1, 1, 0], [1, 0, 0, 1]], rtol=1e-6)
    assert splits.train.class_names == splits.test.class_names == ("10", "cat", "dog")
    assert sum(map(len, splits)) == 4
    again = form_in(json.loads(json.dumps({"table": form.as_notes()})))
    assert again == form
    same = table_splits(CsvRows(path), form, ("10", "cat", "dog"))
    assert np.array_equal(same.train.images, splits.train.images)
    assert np.array_equal(same.train.labels, splits.train.labels)


def test_large_numbers_and_a_constant_column_keep_their_digits(tmp_path: pathlib.Path) -> None:
    lines = ["t,c,y", *(f"{1_700_000_000 + i},3,{i % 2}" for i in range(10))]
    form, _ = load_table(write(tmp_path / "t.csv", lines), "y")
    rows = form.read(CsvRows(tmp_path / "t.csv"))
    np.testing.assert_allclose(rows[:, 0], (np.arange(10) - 4.5) / np.arange(10).std(), rtol=1e-6)
    assert not rows[:, 1].any()


def test_rows_are_read_by_the_names_of_columns(tmp_path: pathlib.Path) -> None:
    form, _ = load_table(write(tmp_path / "t.csv", LINES), "kind")
    rows = form.read(
        CsvRows(write(tmp_path / "u.csv", ["more,fur,a", "x,long,4", ",,", "y,short,4"]))
    )
    assert np.array_equal(rows, [[0, 1, 0], [0, 0, 1]])


WRONG: dict[str, tuple[list[str], str]] = {
    "no header": ([""], r"has no rows"),
    "no rows": (["a,b"], r"has no rows"),
    "two of one name": (["a,a,y", "1,2,0"], r"two columns are called 'a'"),
    "no name": (["a,,y", "1,2,0"], r"a column has no name"),
    "a short row": (["a,y", "1,0", "1"], r"row 2 has 1 cells, and the header 2"),
    "no target": (["a,b", "1,2"], r"has no column 'y'; it has a, b"),
    "nothing else": (["y", "0", "1"], r"has no column beside 'y'"),
    "an empty cell": (["a,y", "1,0", ",1"], r"row 2 has no value for 'a'"),
    "no finite number": (["a,y", "1,0", "nan,1"], r"row 2 has 'nan' for 'a'"),
    "one class": (["a,y", "1,0", "2,0"], r"'y' has 1 different values, where 2 to 1,000"),
    "fractions": (["a,y", "1,0.5", "2,0"], r"'y' has fractions"),
    "names": (["a,y", *(f"n{i},{i % 2}" for i in range(300))], r"'a' has 300 different values"),
    "quotes": (["a,y", '"1,0', "2,1"], r"is no CSV file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_table_is_told(what: str, tmp_path: pathlib.Path) -> None:
    lines, message = WRONG[what]
    with pytest.raises(DataError, match=message):
        load_table(write(tmp_path / "t.csv", lines), "y")


def test_bytes_that_are_no_text_are_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,y\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"is no text in UTF-8"):
        load_table(tmp_path / "t.csv", "y")


def test_what_the_model_has_not_seen_is_told(tmp_path: pathlib.Path) -> None:
    form, _ = load_table(write(tmp_path / "t.csv", LINES), "kind")
    for lines, message in (
        (["a,fur", "1,curly"], r"row 1 has 'curly' for 'fur', which is one of long, short"),
        (["a", "1"], r"has no column 'fur'"),
        (["a,fur", "x,long"], r"row 1 has 'x' for 'a', where a finite number"),
    ):
        with pytest.raises(DataError, match=message):
            form.read(CsvRows(write(tmp_path / "u.csv", lines)))
    rows = CsvRows(write(tmp_path / "u.csv", ["a,fur,kind", "1,long,cow", "1,long,cat"]))
    with pytest.raises(
        DataError, match=r"row 1 has 'cow' for 'kind', which is one of 10, cat, dog"
    ):
        table_splits(rows, form, ("10", "cat", "dog"))


@pytest.mark.parametrize(
    "notes",
    [
        {}, {"table": 3}, {"table": {"columns": 3}}, {"table": {"columns": []}},
        {"table": {"columns": [{"name": "a", "values": [], "mean": 0.0, "scale": 0.0}]}},
        {"table": {"columns": [{"name": "a", "values": [], "mean": "x", "scale": 1.0}]}},
    ],
)  # fmt: skip
def test_notes_that_are_no_form_are_none(notes: Any) -> None:
    assert form_in(notes) is None
    assert isinstance(form_in({"table": TableForm("y", ()).as_notes()}), type(None))


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e200, 1e307])
def test_numbers_of_any_size_come_to_a_deviation_of_1(size: float, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "sizes.csv"
    numbers = size * (np.arange(-20, 20) / 20)
    path.write_text("a,y\n" + "".join(f"{x!r},{i % 2}\n" for i, x in enumerate(numbers.tolist())))
    _, splits = load_table(path, "y")
    images = np.concatenate([part.images for part in splits])
    assert np.isfinite(images).all()
    np.testing.assert_allclose(images.std(), 1, atol=0.15)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"a;b;y\n1,5;2,5;x\n", "are separated by semicolons: save it with commas"),
        (b"a\tb\ty\n1\t2\tx\n", "are separated by tabs: save it with commas"),
        ("a,y\n1,café\n".encode("latin-1"), "is no text in UTF-8 .*: save it as that"),
    ],
)
def test_what_spreadsheets_write_is_told_by_what_it_is(
    written: bytes, told: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(written)
    with pytest.raises(DataError, match=told):
        load_table(path, "y")
