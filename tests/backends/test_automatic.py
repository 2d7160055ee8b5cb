"""Which backend "auto" takes follows from the program and what is installed; and it says why."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest

import miniflow as mf
from miniflow import backends
from miniflow.backends import MODULES, Backend, choose, find, names
from miniflow.backends import backend as records
from miniflow.errors import CompileError
from miniflow.ir import Builder, ValueType
from miniflow.training.stepping import backend_names


def chain(primitives, shape=(3,), kind="array"):
    b = Builder()
    x = b.input(ValueType("f64", shape, kind), name="x")
    for primitive in primitives:
        x = b.add(primitive, (x,))
    return b.program([x])


def many_kinds(n):
    b = Builder()
    inputs = [b.input(ValueType("f64", (k,))) for k in range(1, n + 1)]
    return b.program([b.add("exp", (x,)) for x in inputs])


def automatic(program):
    choice = choose(program)
    return f"{choice.backend.name}: {choice.why}"


@pytest.fixture(autouse=True)
def llvmlite(monkeypatch):
    """The package llvmlite is installed, wherever the tests run."""
    monkeypatch.setattr(records, "find_spec", lambda name: find_spec("json"))


def test_programs_of_arrays_take_native_code_however_long_they_are():
    assert automatic(chain(["tanh", "exp"])) == "native: the fastest that is installed"
    assert automatic(chain(["tanh", "exp"] * 3000)) == "native: the fastest that is installed"


def test_programs_of_numbers_are_plain_python():
    program = chain(["negative"], (), "python")
    assert automatic(program) == "numpy: it computes no arrays"


def test_programs_with_many_different_equations_are_not_worth_compiling():
    assert automatic(many_kinds(300)) == "native: the fastest that is installed"
    expected = "numpy: 301 kinds of equations, more than 300, take long to compile"
    assert automatic(many_kinds(301)) == expected


def test_kinds_of_equations_in_the_body_of_a_loop_count_as_well():
    body = Builder()
    state, item = (body.input(ValueType("f64", (200,))) for _ in range(2))
    new = body.add("add", (state, item))
    for k in range(1, 160):
        part = body.add("exp", (body.add("slice", (state,), {"index": ((0, k, 1),)}),))
        new = body.add("slice_add", (new, part), {"index": ((0, k, 1),)})
    b = Builder()
    first, items = b.input(ValueType("f64", (200,))), b.input(ValueType("f64", (9, 200)))
    params = {"body": body.program([new]), "sequences": 1, "reverse": False}
    told = automatic(b.program([b.add("scan", (first, items), params)]))
    assert told.startswith("numpy: 3")
    assert "kinds of equations, more than 300" in told


def test_without_llvmlite_there_is_numpy(monkeypatch):
    monkeypatch.setattr(records, "find_spec", lambda name: None)
    assert automatic(chain(["tanh"])) == "numpy: llvmlite is not installed"


def test_a_backend_that_is_named_is_taken_and_says_so():
    for name in ("numpy", "native", "reference"):
        choice = choose(chain(["tanh"]), name)
        assert (choice.backend.name, choice.why) == (name, "it was asked for by name")


def test_a_backend_that_is_named_and_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(records, "find_spec", lambda name: None)
    with pytest.raises(
        CompileError, match=r'needs llvmlite: pip install "miniflow-graphs\[native\]"'
    ):
        choose(chain(["tanh"]), "native")


@pytest.mark.parametrize("name", ["gpu", "javascript", "", None, ["numpy"]])
def test_what_cannot_be_run_is_refused_with_what_can(name):
    with pytest.raises(CompileError, match="there are auto, numpy, native, reference"):
        choose(chain(["tanh"]), name)


@pytest.mark.parametrize("name", MODULES)
def test_each_backend_has_one_record_of_that_name(name):
    record = find(name)
    assert record.name == name
    assert callable(record.lower)
    assert all(callable(improve) for improve in record.passes)
    assert (record.package is None) == (record.extra is None)


def test_the_list_is_sorted_by_purpose():
    assert names("run") == ("numpy", "native")
    assert names("compare") == ("reference",)
    assert names("write") == ("javascript", "onnx", "c")
    assert set(names("run", "devices", "compare", "write")) == set(MODULES)


def test_a_new_backend_is_a_module_and_one_line(monkeypatch):
    """Whoever asks for names, for what runs, or for what `auto` takes, asks the list."""
    reference = find("reference")
    new = Backend(
        "brandnew",
        lower=reference.lower,
        declines=lambda program: "" if len(program.equations) == 1 else "it has few words",
    )
    module = ModuleType("miniflow.backends.brandnew")
    module.BACKEND = new
    monkeypatch.setitem(sys.modules, "miniflow.backends.brandnew", module)
    monkeypatch.setattr(backends, "MODULES", (*MODULES, "brandnew"))
    assert names("run") == ("numpy", "native", "brandnew")
    assert backend_names() == ("auto", "interpreter", "numpy", "native", "jax", "brandnew")
    assert automatic(chain(["tanh"])) == "brandnew: the fastest that is installed"
    assert automatic(chain(["tanh", "exp"])) == "native: it has few words"
    x, W = mf.Input("x"), mf.Parameter([1.0, 2.0], "W")
    compiled = mf.compile(mf.Sum(mf.Exp(x)), backend="brandnew")
    assert compiled({x: np.zeros(3)}) == 3.0
    assert compiled.why_backend() == "brandnew: it was asked for by name"
    options = {"epochs": 1, "progress": "none", "backend": "brandnew"}
    history = mf.fit(mf.Mean((x * W) ** 2), {x: np.ones((4, 2))}, mf.SGD(0.1), **options)
    assert history.backend == "brandnew"
    with pytest.raises(
        CompileError, match="there are auto, numpy, native, reference, jax, brandnew"
    ):
        mf.compile(mf.Sum(x), backend="gpu")
