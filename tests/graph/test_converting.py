"""What is in an array that has no real numbers is said, with what makes numbers of it; and what is
said works.
"""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.datasets import Dataset
from miniflow.errors import DataError, GraphError

TEXT = "there is text in it: "
MISSING = r"entries are missing \({}\): x.to_numpy\(float, na_value=0.0\)"
OBJECTS = r"its numbers are kept as objects: x.astype\(float\) makes numbers of them"
ARRAYS: dict[str, tuple[Any, str]] = {
    "text": (np.array(["a", "b"]), TEXT),
    "bytes": (np.array([b"1", b"2"]), TEXT),
    "text among objects": (np.array([1, "b", None], object), TEXT),
    "None": ([1.0, None], MISSING.format("None")),
    "objects": (np.array([1, Decimal("1.5"), np.float32(2), True], object), OBJECTS),
    "large integers": ([2**70, 1], OBJECTS),
    "objects of a class": (np.array([1, object()], object), "there is one of class object in it"),
    "dates": (np.array(["2020-01-01"] * 2, "M8[D]"), ".*counts the days"),
    "spans": (np.array([1, 2], "m8[s]"), ".*counts the seconds"),
    "complex": (np.array([1j, 2]), ".*x.real and x.imag are real"),
    "fields": (np.zeros(2, [("a", "f4"), ("b", "f4")]), ".*has columns"),
}


def check_told(x: Any, told: str) -> None:
    X = mf.Input("X")
    loss = mf.Mean((X * mf.Parameter(2.0)) ** 2)
    took = rf"real numbers and arrays of them, and {told}.*\.$"
    for feeds in (
        lambda: mf.value(X, {X: x}),
        lambda: mf.Parameter(x),
        lambda: mf.compile(loss, backend="reference")({X: x}),
        lambda: mf.fit(loss, {X: x}, mf.SGD(0.1), progress="none", backend="interpreter"),
        lambda: mf.compile(loss, optimizer=mf.SGD(0.1), backend="reference").epoch({X: x}, [[0]]),
        lambda: mf.predict(X, x),
    ):
        with pytest.raises(GraphError, match=took):
            feeds()
    with pytest.raises(DataError, match=rf"images must be real numbers, not .*, and {told}.*\.$"):
        Dataset(x)
    with pytest.raises(DataError, match=rf"labels must be real numbers, not .*, and {told}.*\.$"):
        Dataset(np.ones((len(x), 2)), x)


@pytest.mark.parametrize("name", ARRAYS)
def test_what_has_no_numbers_is_told_with_the_way_to_them(name: str) -> None:
    check_told(*ARRAYS[name])


def test_columns_of_tables_are_told_with_the_way_to_numbers() -> None:
    pd = pytest.importorskip("pandas")
    X, NA = mf.Input("X"), MISSING.format("<NA>")
    nullable = pd.DataFrame({"a": pd.Series([1, 2], dtype="Int64"), "b": [1.0, 2.0]})
    for x, told in (
        (pd.Series([True, None], dtype="boolean"), NA),
        (pd.DataFrame({"a": pd.Series([1, None], dtype="Int64"), "b": [1.0, 2.0]}), NA),
        (pd.Series(["a", "b"], dtype="category"), TEXT),
        (pd.Series(["a", "b"], dtype="string"), TEXT),
        (pd.Series(["1", "2"]), TEXT),
        (pd.Series(pd.to_datetime(["2020-01-01"] * 2)), ".*counts the days"),
        (pd.Series(pd.to_timedelta([1, 2], unit="s")), ".*counts the seconds"),
        (pd.Series(pd.period_range("2020", periods=2)), ".*one of class Period in it"),
        (nullable, OBJECTS),
    ):
        check_told(x, told)
    with pytest.raises(GraphError, match=r"was given a DataFrame of shape \(2, 2\): it takes"):
        mf.value(X, {X: nullable})


def test_the_ways_make_numbers() -> None:
    pd = pytest.importorskip("pandas")
    X, dates = mf.Input("X"), pd.Series(pd.to_datetime(["2020-01-01", "2020-01-03"]))
    for made, wanted in (
        (pd.Series(["1.5", "2"]).astype(float), [1.5, 2.0]),
        (pd.get_dummies(pd.Series(["a", "b"])), [[1.0, 0.0], [0.0, 1.0]]),
        (np.unique(np.array(["b", "a"]), return_inverse=True)[1], [1, 0]),
        (pd.Series([1, None], dtype="boolean").to_numpy(float, na_value=0.0), [1.0, 0.0]),
        (pd.Series([1, None], dtype="Int64").to_numpy(float, na_value=0.0), [1.0, 0.0]),
        (
            pd.DataFrame({"a": [2, None]}, dtype=object).to_numpy(float, na_value=0.0),
            [[2.0], [0.0]],
        ),
        (pd.DataFrame({"a": pd.Series([1], dtype="Int64"), "b": [2.5]}).astype(float), [[1, 2.5]]),
        ((dates - dates.min()) / np.timedelta64(1, "D"), [0.0, 2.0]),
        (pd.Series(pd.to_timedelta([1, 2], unit="s")) / np.timedelta64(1, "s"), [1.0, 2.0]),
        (np.array([Decimal("1.5")], object).astype(float), [1.5]),
    ):
        assert np.array_equal(mf.value(X, {X: made}), wanted)


@pytest.mark.parametrize(
    "number",
    [2**63, -(2**63) - 1, 2**70, 10**400, 10**5000],
    ids=lambda x: f"{x.bit_length()} bits",
)
def test_an_integer_that_int64_does_not_hold_is_told(number: int) -> None:
    X = mf.Input("X")
    for node in (X, mf.ReLU(X), X + 1.0):
        with pytest.raises(GraphError, match=r"Input 'X' .*whole numbers end where int64 does, at"):
            mf.value(node, {X: number})
        with pytest.raises(GraphError, match=r"Input 'X' .*whole numbers end where int64 does, at"):
            mf.compile(node, backend="reference")({X: number})
    assert mf.value(X, {X: -(2**63)}) == -(2**63)
    if abs(number) < 2**100:
        assert mf.value(X * number, {X: 0.5}) == 0.5 * number
        assert mf.Parameter(number).value == float(number)
        return
    with pytest.raises(GraphError, match="numbers end where float64 does, at"):
        X * number
    with pytest.raises(mf.MiniflowError, match=r"lr is a number of at least 0, not a whole number"):
        mf.SGD(number)
