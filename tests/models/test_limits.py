"""How much a model file may ask for: memory and arithmetic, as a whole, before anything is run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_models import refusal, written

import miniflow as mf
from miniflow.errors import MiniflowError, ShapeError
from miniflow.files.limits import current_limits
from miniflow.ir import Builder, Program, ValueType
from miniflow.ir.store import generalize


def file_of(make: Any) -> bytes:
    """A model file of the programs that `make` builds, given the rows."""
    programs = {n: make(n) for n in (5, 7, 11)}
    about = {"kind": "model", "format": 1, "program": generalize(programs)}
    return written({}, about)


def outer_products(count: int, size: int) -> Any:
    """Many large products, each a number of which is read again at the end, the last first."""

    def make(n: int) -> Program:
        b = Builder()
        total = b.input(ValueType("f64", (n, 1)), "fed")
        column = b.add("full", (1.0,), {"shape": (size, 1), "dtype": "f64"})
        row = b.add("full", (1.0,), {"shape": (1, size), "dtype": "f64"})
        squares = [b.add("matmul", (column, row)) for _ in range(count)]
        for square in reversed(squares):
            largest = b.add("max", (square,), {"axis": (0, 1), "keepdims": False})
            total = b.add("add", (total, largest))
        return b.program([total])

    return make


def powers(count: int, size: int) -> Any:
    """A chain of products of square matrices."""

    def make(n: int) -> Program:
        b = Builder()
        x = b.input(ValueType("f64", (n, 1)), "fed")
        square = b.add("full", (0.0,), {"shape": (size, size), "dtype": "f64"})
        for _ in range(count):
            square = b.add("matmul", (square, square))
        return b.program(
            [b.add("add", (x, b.add("max", (square,), {"axis": (0, 1), "keepdims": False})))]
        )

    return make


def test_values_that_are_needed_at_once_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "model.safetensors", file_of(outer_products(9, 2048))  # 32 MiB each
    told = str(refusal(path, file))
    assert "needs 288 MiB of memory for one row, more than the limit, 256 MiB" in told
    assert told.endswith('run this with MINIFLOW_LIMITS="memory_a_row=1GiB" in the environment.')
    assert refusal(path, file_of(outer_products(7, 2048))) is None
    monkeypatch.setenv("MINIFLOW_LIMITS", "memory_a_row=1GiB")
    assert refusal(path, file) is None


def test_a_program_that_computes_for_ever_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "model.safetensors", file_of(powers(600, 1024))  # 2·1024³ each
    told = str(refusal(path, file))
    assert "asks for 1.3e+12 operations for one row, more than the limit, 1.0e+12" in told
    monkeypatch.setenv("MINIFLOW_LIMITS", "memory=1GiB flops_a_row=1e13")
    assert refusal(path, file) is None


def test_what_many_rows_need_is_counted_when_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    X, W = mf.Input("X"), mf.Parameter(np.ones((1, 1000)), "W")
    mf.save(mf.Sum(mf.Exp(X @ W) * mf.Exp(X @ -W), axis=1), path, {X: np.ones((2, 1))})
    model = mf.load(path)
    np.testing.assert_allclose(model(np.zeros((3, 1))), [1000.0] * 3)
    monkeypatch.setenv("MINIFLOW_LIMITS", "memory=3MiB")
    assert model(np.zeros((50, 1))).shape == (50,)
    with pytest.raises(ShapeError, match=r"does not work for 200 rows: .*needs .* MiB of memory"):
        model(np.zeros((200, 1)))


@pytest.mark.parametrize("text", ["flops=3", "memory=", "memory=0", "memory=-1GiB", "unpacked=nan"])
def test_a_limit_that_is_none_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIFLOW_LIMITS", text)
    with pytest.raises(
        MiniflowError, match=f"MINIFLOW_LIMITS: '{text}' is no limit. One is memory"
    ):
        current_limits()


def loops(turns: int, size: int, within: int = 0) -> Any:
    """A loop, perhaps within others, in whose body there is an array that nobody sees outside."""

    def make(n: int) -> Program:
        b = Builder()
        total = b.input(ValueType("f64", (n, 1)), "fed")
        largest = b.add("max", (total,), {"axis": (0, 1), "keepdims": False})
        state = loop(b, largest, within)
        return b.program([b.add("add", (total, b.add("slice", (state,), {"index": (turns - 1,)})))])

    def loop(b: Builder, first: Any, deeper: int) -> Any:
        inner = Builder()
        state, _item = (inner.input(ValueType("f64", (), "scalar")) for _ in range(2))
        whole = inner.add("full", (state,), {"shape": (size,), "dtype": "f64"})
        new: Any = inner.add("max", (whole,), {"axis": (0,), "keepdims": False})
        if deeper:
            history = loop(inner, new, deeper - 1)
            new = inner.add("slice", (history,), {"index": (turns - 1,)})
        params = {"body": inner.program([new]), "sequences": 1, "reverse": False}
        items = b.add("full", (0.0,), {"shape": (turns,), "dtype": "f64"})
        return b.add("scan", (first, items), params)

    return make


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (loops(3, 2**25), "needs 256 MiB of memory"),
        (loops(2**22, 2**19), "operations"),
        (loops(3000, 1, within=2), "operations"),
    ],
    ids=["memory of a body", "arithmetic of a body", "turns of loops within loops"],
)
def test_what_loops_ask_for_counts_as_often_as_they_turn(
    tmp_path: Path, make: Any, told: str
) -> None:
    path = tmp_path / "model.safetensors"
    assert told in refusal(path, file_of(make))
    path.write_bytes(file_of(loops(3, 5, within=1)))
    assert mf.load(path)(np.ones((2, 1))).tolist() == [[2.0], [2.0]]


def test_loops_within_one_another_have_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    file = file_of(loops(1, 1, within=20))
    assert "more than 16 scans within one another" in refusal(path, file)
