"""`check` accepts what `Builder` builds, and names what is wrong with anything else."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from miniflow.errors import MiniflowError
from miniflow.ir import (
    Builder,
    Constant,
    Equation,
    Input,
    Literal,
    Origin,
    Output,
    Program,
    ProgramError,
    ValueType,
    Variable,
    check,
)

from .programs import two_layers

VECTOR = ValueType("f64", (3,))
MATRIX = ValueType("f64", (2, 3))
X = Variable(VECTOR, "x")
M = Variable(MATRIX, "m")


def program_of(*equations: Equation, **changes: object) -> Program:
    """Return a program of inputs x: f64[3] and m: f64[2,3] that returns its last result."""
    result = equations[-1].result if equations else X
    program = Program((Input(X), Input(M)), equations, (Output(result),))
    return replace(program, **changes)


def equation_of(
    primitive: str, *operands: object, to: object = VECTOR, **params: object
) -> Equation:
    result = Variable(to, "r") if isinstance(to, ValueType) else to
    return Equation(primitive, operands, params, result)


def refused(program: Program, *words: str) -> None:
    with pytest.raises(ProgramError) as caught:
        check(program)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1_500


def test_built_program_is_well_formed():
    check(two_layers())


def test_program_error_is_a_miniflow_error():
    assert issubclass(ProgramError, MiniflowError)
    assert issubclass(ProgramError, ValueError)


def test_message_names_equation_node_and_place():
    origin = Origin("Linear 'logits'", "train.py:12")
    broken = replace(equation_of("add", X, M, to=MATRIX), origin=origin, primitive="matmul")
    refused(program_of(broken), "equation 0", "r = matmul(x, m)", "Linear 'logits'", "train.py:12")


def test_double_assignment_is_found():
    one = equation_of("exp", X)
    refused(program_of(one, equation_of("log", X, to=one.result)), "assigned twice", "equation 1")


def test_assignment_to_an_input_is_found():
    refused(program_of(equation_of("exp", X, to=X)), "assigned twice")


def test_input_listed_twice_is_found():
    refused(program_of(inputs=(Input(X), Input(X))), "assigned twice")


def test_use_before_definition_is_found():
    late = equation_of("exp", X)
    refused(program_of(equation_of("log", late.result), late), "read before", "equation 0")


def test_cycle_is_found():
    itself = Variable(VECTOR, "r")
    refused(program_of(equation_of("exp", itself, to=itself)), "read before")


def test_output_that_nothing_defines_is_found():
    refused(program_of(outputs=(Output(Variable(VECTOR, "ghost")),)), "output 0", "ghost")


def test_unknown_primitive_is_found():
    refused(program_of(equation_of("os.system", X)), "no primitive 'os.system'")


@pytest.mark.parametrize(
    "type_",
    [
        ValueType("f64", (4,)),
        ValueType("f32", (3,)),
        ValueType("f64", (3,), "scalar"),
        ValueType("f64", (-3,)),
        ValueType("f64", (10**30,)),
        ValueType("f64", (2**40, 2**40)),
        ValueType("f64", (1,) * 65),
        ValueType("f64", (3.0,)),
        ValueType("f64", (True,)),
        ValueType("f64", [3]),
        ValueType("f64", "3"),
        ValueType("f64", None),
        ValueType("c128", (3,)),
        ValueType(None, (3,)),
        ValueType([], (3,)),
        ValueType("f64", (3,), "tensor"),
        ValueType("f64", (3,), []),
        ValueType("f32", (), "python"),
        ("f64", (3,), "array"),
        None,
    ],
)
def test_wrong_or_impossible_type_is_found(type_):
    refused(program_of(equation_of("exp", X, to=Variable(type_, "r"))), "equation 0")


@pytest.mark.parametrize(
    ("primitive", "params"),
    [
        ("sum", {}),
        ("sum", {"axis": (0,)}),
        ("sum", {"axis": (0,), "keepdims": False, "out": None}),
        ("sum", {"axis": 0, "keepdims": False}),
        ("sum", {"axis": [0], "keepdims": False}),
        ("sum", {"axis": (0, 0), "keepdims": False}),
        ("sum", {"axis": (1, 0), "keepdims": False}),
        ("sum", {"axis": (-1,), "keepdims": False}),
        ("sum", {"axis": (2,), "keepdims": False}),
        ("sum", {"axis": (10**30,), "keepdims": False}),
        ("sum", {"axis": (0,), "keepdims": 1}),
        ("sum", {"axis": (0,), 7: False}),
        ("argmax", {"axis": True, "keepdims": False}),
        ("argmax", {"axis": 2, "keepdims": False}),
        ("reshape", {"shape": (-1,)}),
        ("reshape", {"shape": (7,)}),
        ("reshape", {"shape": ((((((6,),),),),),)}),
        ("reshape", {"shape": (6,) + (1,) * 10**5}),
        ("broadcast_to", {"shape": (3,)}),
        ("broadcast_to", {"shape": (2**62, 2, 3)}),
        ("transpose", {"axes": (0,)}),
        ("windows", {"axes": (0,), "window": (3,)}),
        ("windows", {"axes": (0,), "window": (0,)}),
        ("windows", {"axes": (0,), "window": (1, 1)}),
        ("windows", {"axes": (1, 0), "window": (1, 1)}),
        ("windows", {"axes": (2,), "window": (1,)}),
        ("transpose", {"axes": (0, 0)}),
        ("cast", {"dtype": "object"}),
        ("cast", {"dtype": np.float32}),
        ("slice", {"index": (0,)}),
        ("slice", {"index": (2, 0)}),
        ("slice", {"index": (0, (0, 4, 1))}),
        ("slice", {"index": (0, (0, 2, 0))}),
        ("slice", {"index": (0, (1, 3, -1))}),
        ("slice", {"index": (0, (0, -1, 1))}),
        ("slice", {"index": (0, (0, 10**15, 1))}),
        ("slice", {"index": (0, (0, 1))}),
        ("slice", {"index": (0, "abc")}),
        ("gather", {"axes": (0,)}),
        ("exp", {"out": None}),
    ],
)
def test_params_of_the_wrong_form_are_found(primitive, params):
    equation = Equation(primitive, (M,), params, Variable(VECTOR, "r"))
    refused(program_of(equation), "equation 0", primitive)


@pytest.mark.parametrize(
    ("primitive", "operands"),
    [
        ("add", (X,)),
        ("add", (X, X, X)),
        ("add", (X,) * 10_000),
        ("add", (X, "x")),
        ("add", (X, None)),
        ("add", (X, 3)),
        ("add", [X, X]),
        ("add", (X, Literal(10**400))),
        ("matmul", (X, Literal(2))),
        ("matmul", (M, M)),
        ("exp", (X, X)),
        (None, (X,)),
        ({}, (X,)),
    ],
)
def test_operands_that_do_not_fit_are_found(primitive, operands):
    equation = Equation(primitive, operands, {}, Variable(VECTOR, "r"))
    refused(program_of(equation), "equation 0")


def test_thousands_of_operands_are_fine_where_they_are_allowed():
    many = (X,) * 10_000
    joined = Equation("concatenate", many, {"axis": 0}, Variable(ValueType("f64", (30_000,))))
    check(program_of(joined))


def test_integers_that_numpy_would_not_take_are_found():
    u = Variable(ValueType("u8", (3,)), "u")
    equation = Equation("add", (u, Literal(300)), {}, Variable(ValueType("u8", (3,))))
    refused(program_of(equation, inputs=(Input(u),)), "300")


def test_claimed_sizes_are_never_allocated():
    huge = {"shape": (10**9, 10**6), "dtype": "f64"}
    type_ = ValueType("f64", (10**9, 10**6))
    b = Builder()
    value = b.add("full", (0.0,), huge)
    value = b.add("add", (value, b.add("exp", (value,))))
    index = b.add("arange", (), {"start": 0, "stop": 10**12, "step": 1, "dtype": "i64"})
    value = b.add(
        "sum", (b.add("gather", (value, index), {"axes": (0,)}),), {"axis": (0,), "keepdims": False}
    )
    program = b.program([value])
    tracemalloc.start()
    check(program)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert type_ in [equation.result.type for equation in program.equations]
    with pytest.raises(ProgramError, match="larger than"):
        check(program, max_bytes=2**32)


def test_long_programs_are_checked_without_recursion():
    b = Builder()
    value = b.input(VECTOR)
    for _ in range(5_000):
        value = b.add("negative", (value,))
    check(b.program([value]))


def test_constants_hold_what_they_say():
    value = np.zeros(3)
    value.flags.writeable = False
    good = Constant(Variable(VECTOR, "c"), value)
    check(program_of(constants=(good,)))
    refused(program_of(constants=(Constant(Variable(MATRIX, "c"), value),)), "constant c")
    refused(program_of(constants=(Constant(Variable(VECTOR, "c"), np.zeros(3)),)), "written")
    refused(program_of(constants=(Constant(Variable(VECTOR, "c"), [0.0] * 3),)), "constant c")


@pytest.mark.parametrize(
    "outputs",
    [
        (Output(X, "verdict"),),
        (Output(X, []),),
        (Output(X, "parameter"),),
        (Output(X, "parameter", None, M),),
        (Output(X, "state", None, X),),
        (Output(X, "value", None, X),),
        (Output(X, "value", "n" * 10_000),),
        (Output(X, "value", 3),),
        (Output(3),),
        (X,),
        [Output(X)],
    ],
)
def test_outputs_that_make_no_sense_are_found(outputs):
    refused(program_of(outputs=outputs))


@pytest.mark.parametrize("role", ["fed", "parameter", "state", "hyper"])
@pytest.mark.parametrize("new", ["parameter", "state"])
def test_new_value_has_the_role_of_what_it_replaces(new, role):
    w = Variable(VECTOR, "w")
    program = program_of(inputs=(Input(w, role),), outputs=(Output(w, new, None, w),))
    if new == role:
        check(program)
    else:
        refused(program, "input of that role")


def test_new_value_has_the_type_of_what_it_replaces():
    w = Variable(VECTOR, "w")
    inputs = (Input(w, "parameter"), Input(M))
    check(program_of(inputs=inputs, outputs=(Output(w, "parameter", None, w),)))
    refused(program_of(inputs=inputs, outputs=(Output(M, "parameter", None, w),)), "replaces w")
    twice = (Output(w, "parameter", None, w), Output(w, "parameter", None, w))
    refused(program_of(inputs=inputs, outputs=twice), "only once")


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": (Input(X, "secret"), Input(M))},
        {"inputs": (Input(X, []), Input(M))},
        {"inputs": (X, M)},
        {"inputs": (Input(Variable(VECTOR, "n" * 10_000)),)},
        {"inputs": (Input(Variable(VECTOR, 3)),)},
        {"inputs": (Input(X, "fed", "origin"),)},
        {"inputs": (Input(X, "fed", Origin("n", phase="sideways")),)},
        {"inputs": (Input(X, "fed", Origin(None)),)},
        {"equations": None},
        {"equations": (None,)},
        {"constants": (np.zeros(3),)},
    ],
)
def test_records_of_the_wrong_kind_are_found(changes):
    refused(program_of(**{"outputs": (), **changes}))


def test_megabytes_of_nesting_are_refused_without_recursion():
    deep: tuple = ()
    for _ in range(100_000):
        deep = (deep,)
    undefined = Variable(ValueType(deep, deep, deep), "deep")
    refused(program_of(equation_of("add", undefined, X)), "equation 0", "read before")
    refused(program_of(equation_of("exp", X, to=undefined)), "equation 0", "not a dtype")
    refused(program_of(equation_of("reshape", X, shape=deep)), "equation 0", "'shape'")
    refused(program_of(inputs=(Input(Variable(deep)),)), "not a type")


def test_long_strings_are_not_repeated_in_messages():
    long = "n\n" * 10**5
    origin = replace(equation_of("exp", X), origin=Origin(long))
    refused(program_of(origin), "at most 1000 characters")
    refused(program_of(equation_of(long, X)), "no primitive")
    refused(program_of(equation_of("exp", X, to=Variable(VECTOR, long))), "at most 1000")


def test_literal_that_lies_about_its_type_is_found():
    liar = Literal(3)
    object.__setattr__(liar, "value", np.zeros(1_000))
    refused(program_of(equation_of("add", X, liar)), "equation 0")
