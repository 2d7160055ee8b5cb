"""Names, text files with an example a line, and sequences of many lengths as batches."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miniflow import datasets
from miniflow.errors import DataError


def test_names_are_32000_words_each_in_one_of_the_sets() -> None:
    names = datasets.names()
    every = [*names.train, *names.validation, *names.test]
    assert len(every) == len(set(every)) == 32_000
    assert set("".join(every)) == set("abcdefghijklmnopqrstuvwxyz")
    names.train.clear()  # a caller's list is its own
    assert datasets.names().train[:2] == ["aadam", "aadarsh"]


def test_a_file_is_set_apart_line_by_line_and_always_alike(tmp_path: Path) -> None:
    text = "\n".join(f" ligne é {i}  \n" for i in range(100))
    (tmp_path / "plain.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    with gzip.open(tmp_path / "packed.txt.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    plain, packed = (datasets.lines(tmp_path / n) for n in ("plain.txt", "packed.txt.gz"))
    assert plain == packed
    assert tuple(map(len, plain)) == (81, 9, 10)
    assert {line for part in plain for line in part} == {f"ligne é {i}" for i in range(100)}
    assert plain.train == sorted(plain.train, key=lambda line: int(line.split()[-1]))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe\x00", "is no text in UTF-8"),
        (b"a\x00b\n" * 20, "bytes that are 0"),
        (b"one\n\n\ntwo\n", "has 2 lines that are not empty"),
    ],
)
def test_what_is_no_text_is_refused_by_its_name(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"notes.txt.*{told}"):
        datasets.lines(tmp_path / "notes.txt")


@pytest.mark.parametrize("rng", [None, 0], ids=["in order", "shuffled"])
@pytest.mark.parametrize("shapes", [1, 3, 50])
def test_batches_hold_every_sequence_once_in_few_shapes(shapes: int, rng: int | None) -> None:
    drawn = np.random.default_rng(1)
    sequences = [drawn.normal(size=(n, 2)).astype("f4") for n in drawn.integers(1, 20, 203)]
    batches = list(datasets.padded(sequences, 16, shapes=shapes, fill=-1.0, rng=rng))
    assert sorted(np.concatenate([b.rows for b in batches])) == list(range(203))
    assert len({b.values.shape for b in batches}) <= 2 * min(shapes, 19)
    assert len({b.values.shape[1] for b in batches}) <= shapes
    for values, mask, rows in batches:
        assert values.dtype == np.float32
        assert (values[~mask] == -1).all()
        for row, there, number in zip(values, mask, rows, strict=True):
            np.testing.assert_array_equal(row[there], sequences[number])
            assert there[: there.sum()].all()


def test_a_generator_gives_another_order_each_time_and_a_seed_the_same() -> None:
    sequences = [[1] * n for n in range(1, 40)]
    drawn = np.random.default_rng(0)
    orders = [
        np.concatenate([b.rows for b in datasets.padded(sequences, 4, rng=rng)]).tolist()
        for rng in (0, 0, drawn, drawn)
    ]
    assert orders[0] == orders[1] == orders[2] != orders[3]


@pytest.mark.parametrize(
    ("sequences", "told"),
    [
        ([], "takes a list"),
        (3, "takes a list"),
        ([[1], []], "sequence 1"),
        ([[1], "ab"], "sequence 1"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "sequence 1 have shape"),
    ],
)
def test_what_are_no_sequences_is_refused_at_once(sequences: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        datasets.padded(sequences)
