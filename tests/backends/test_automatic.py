"""Which backend "auto" takes follows from the program and what is installed."""

import importlib.util

import pytest

from miniflow import backends
from miniflow.backends import automatic
from miniflow.ir import Builder, ValueType


def chain(primitives, shape=(3,), kind="array"):
    b = Builder()
    x = b.input(ValueType("f64", shape, kind), name="x")
    for primitive in primitives:
        x = b.add(primitive, (x,))
    return b.program([x])


@pytest.fixture(autouse=True)
def llvmlite(monkeypatch):
    """The package llvmlite is installed, wherever the tests run."""
    monkeypatch.setattr(backends, "find_spec", lambda name: importlib.util.find_spec("json"))


def test_programs_of_arrays_take_native_code_however_long_they_are():
    assert automatic(chain(["tanh", "exp"])) == "native"
    assert automatic(chain(["tanh", "exp"] * 3000)) == "native"


def test_programs_of_numbers_are_plain_python():
    assert automatic(chain(["negative"], (), "python")) == "numpy"


def test_programs_with_many_different_equations_are_not_worth_compiling():
    b = Builder()
    inputs = [b.input(ValueType("f64", (n,))) for n in range(1, 302)]
    assert automatic(b.program([b.add("exp", (x,)) for x in inputs])) == "numpy"


def test_without_llvmlite_there_is_numpy(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    assert automatic(chain(["tanh"])) == "numpy"
