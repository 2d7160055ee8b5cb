"""What the function promises besides right numbers: what it takes, tells and refuses."""

from __future__ import annotations

import numpy as np
import pytest
from ir.programs import two_layers

import miniflow as mf
from miniflow.backends.javascript import ARRAYS_JS, array_text, to_javascript
from miniflow.errors import CompileError
from miniflow.ir import DTYPES, Builder, Literal, Origin, Output, Program, ValueType, type_of
from miniflow.passes import optimize

from ..agreement import random_arguments
from .engine import Job, Plain, answers_to, assert_agrees, needs_engine, run

LOSS = Origin("Loss 'loss'", "train.py:3")


def told_by(program: Program, *arguments):
    ((told,),) = run([Job(program, [arguments])])
    return told


@needs_engine
def test_fed_arrays_may_be_any_list_of_numbers():
    b = Builder()
    types = [
        ValueType("f32", (3,)),
        ValueType("i64", (2,)),
        ValueType("bool", (2,)),
        ValueType("f64"),
    ]
    program = b.program(
        [b.add("add", (b.input(t), b.input(t))) for t in types[:2]]
        + [b.add("logical_not", (b.input(types[2]),)), b.add("negative", (b.input(types[3]),))]
    )
    told = told_by(
        program,
        *(Plain(v) for v in ([1, 2, 3], [0.5, 0, -1], [1, 2], [3, 4], [True, False], 2.5)),
    )
    assert told.error is None
    np.testing.assert_array_equal(told.results[0], np.float32([1.5, 2, 2]))
    np.testing.assert_array_equal(told.results[1], [4, 6])
    np.testing.assert_array_equal(told.results[2], [False, True])
    assert told.results[3] == -2.5


@needs_engine
def test_whole_numbers_may_be_given_for_bigints():
    b = Builder()
    n, m = (
        b.input(ValueType("i64", (), "python"), name="n"),
        b.input(ValueType("i64", (), "scalar")),
    )
    told = told_by(
        b.program([b.add("multiply", (n, n)), b.add("negative", (m,))]), Plain(7), Plain(5)
    )
    assert told.results == [49, -5]


@needs_engine
def test_wrong_length_is_refused_by_name():
    b = Builder()
    x = b.input(ValueType("f32", (2, 3)), name="pixels")
    told = told_by(b.program([b.add("exp", (x,))]), Plain([1, 2]))
    assert told.error == "RangeError: pixels should have 6 elements, not 2"


@needs_engine
def test_what_is_updated_must_be_the_very_array():
    b = Builder()
    W = b.input(ValueType("f32", (2,)), "parameter", "W")
    program = b.program([Output(b.add("negative", (W,)), "parameter", replaces=W)])
    assert told_by(program, Plain([1, 2])).error == "TypeError: W should be a Float32Array"
    told = told_by(program, np.float32([1, 2]))
    assert told.shared == [0]
    np.testing.assert_array_equal(told.arguments[0], np.float32([-1, -2]))


@needs_engine
def test_updates_come_after_all_reads():
    b = Builder()
    x, y = (b.input(ValueType("f64", (2,)), "parameter", name) for name in "xy")
    swapped = [Output(x, "parameter", replaces=y), Output(y, "parameter", replaces=x)]
    program = b.program([b.add("add", (x, y)), *swapped])
    told = told_by(program, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    np.testing.assert_array_equal(told.arguments, [[3.0, 4.0], [1.0, 2.0]])


@needs_engine
def test_new_value_of_a_number_is_a_result():
    b = Builder()
    t = b.input(ValueType("i64", (), "python"), "state", "t")
    program = b.program([Output(b.add("add", (t, 1)), "state", replaces=t)])
    assert told_by(program, 4).results == [5]


@needs_engine
def test_index_out_of_range_names_the_node_and_updates_nothing():
    program = two_layers()
    arguments = random_arguments(program)
    arguments[1][2] = 7
    told = told_by(program, *arguments)
    assert told.error == (
        "RangeError: CrossEntropyWithSoftmax 'loss': "
        "index 7 is out of bounds for axis 1 with size 2"
    )
    for before, after in zip(arguments, told.arguments, strict=True):
        np.testing.assert_array_equal(before, after)


@needs_engine
def test_loss_that_is_not_finite_updates_nothing():
    program = optimize(two_layers())
    arguments = random_arguments(program)
    arguments[2][0, 0] = np.nan
    told = told_by(program, *arguments)
    assert told.error == "RangeError: loss is NaN; nothing was updated"
    np.testing.assert_array_equal(told.arguments[3], arguments[3])


@needs_engine
@pytest.mark.parametrize("name", ["divide", "floor_divide", "remainder"])
@pytest.mark.parametrize("number", [0, 0.0])
def test_pythons_division_by_zero_names_the_node(name, number):
    b = Builder()
    x = b.input(type_of(number), name="x")
    program = b.program([b.add(name, (x, x), origin=LOSS)])
    assert told_by(program, number).error == "RangeError: Loss 'loss': division by zero"


@needs_engine
def test_integers_of_64_bits_wrap_and_pythons_do_not():
    most = 2**63 - 1
    b = Builder()
    n, x = b.input(ValueType("i64", (), "python")), b.input(ValueType("i64", (2,)))
    cube = b.add("power", (n, Literal(3)))
    program = b.program(
        [
            cube,
            b.add("add", (x, 1)),
            b.add("multiply", (x, x)),
            b.add("sum", (x,), {"axis": (0,), "keepdims": False}),
        ]
    )
    assert_agrees(program, [most, np.array([most, 2**53 + 1])])
    assert told_by(program, most, np.array([1, 2])).results[0] == most**3


@needs_engine
def test_pythons_integer_wraps_around_where_it_has_become_an_array():
    b = Builder()
    n = b.input(ValueType("i64", (), "python"))
    row = b.add("reshape", (n,), {"shape": (1,)})
    program = b.program([b.add("cast", (row,), {"dtype": d}) for d in ("u64", "u8", "f64")])
    assert_agrees(program, [-1], [300])


@needs_engine
def test_counts_are_exact():
    b = Builder()
    x = b.input(ValueType("u8", (300, 2)))
    outputs = [
        b.add("sum", (x,), {"axis": axis, "keepdims": False}) for axis in ((0,), (1,), (0, 1))
    ]
    is_large = b.add("greater", (x, 100))
    outputs.append(b.add("sum", (is_large,), {"axis": (0,), "keepdims": False}))
    assert_agrees(
        b.program(outputs), [np.random.default_rng(0).integers(0, 256, (300, 2)).astype("u1")]
    )


@needs_engine
def test_constants_are_handed_over():
    b = Builder()
    arrays = [np.arange(3).astype(dtype) for dtype in DTYPES.values()]
    x = b.input(ValueType("f64", (3,)))
    outputs = [b.add("add", (b.constant(array, "weights"), x)) for array in arrays]
    assert_agrees(b.program(outputs), [np.ones(3)])


@needs_engine
def test_constants_may_have_more_entries_than_a_call_has_arguments():
    b, rng = Builder(), np.random.default_rng(0)
    places, kept = np.arange(70_000, dtype="u4"), rng.integers(0, 2, 70_000).astype(bool)
    constants = [b.constant(places), b.constant(kept), b.constant(np.arange(3, dtype="i4"))]
    outputs = [b.add("sum", (c,), {"axis": (0,), "keepdims": False}) for c in constants]
    assert len(to_javascript(b.program(outputs))) < 4 * 70_000  # places are no text
    assert_agrees(b.program([*outputs, constants[0]]), [])


@needs_engine
def test_constants_are_those_of_the_program_whether_they_are_needed_or_not():
    b = Builder()
    x = b.input(ValueType("f64", (3,)))
    kept = [b.constant(np.full(3, number)) for number in (1.0, 2.0, 4.0)]
    assert_agrees(b.program([b.add("multiply", (x, kept[1]))]), [np.ones(3)])


@needs_engine
def test_constant_may_be_a_result():
    b = Builder()
    c = b.constant(np.array([1.0, 2.0]))
    assert_agrees(b.program([c, c, b.add("transpose", (c,), {"axes": (0,)})]), [], [])


HOSTILE = [
    "class",
    "exp",
    "args",
    "i",
    "σ",
    "</script>",
    "<!--",
    "a\nb",
    '"; throw 1; "',
    "*/",
    "fed",
    "\u2028",
]


@needs_engine
def test_names_are_only_names():
    b = Builder()
    total = b.input(ValueType("f32", (2,)), name="await")
    for name in HOSTILE:
        x = b.input(ValueType("f32", (2,)), name=name)
        origin = Origin(f"Exp '{name}'")
        indices = b.input(ValueType("i64", (2,)), name=name)
        total = b.add("add", (total, b.add("exp", (x,), {}, origin, name)), {}, origin, name)
        total = b.add("gather", (total, indices), {"axes": (0,)}, origin)
    program = b.program([Output(total, "gradient", name="</script>")])
    arguments = random_arguments(program)
    assert_agrees(program, arguments)
    code = to_javascript(program)
    assert "</script" not in code
    assert "<!--" not in code
    assert "\u2028" not in code


@needs_engine
def test_function_tells_about_its_inputs_and_outputs():
    b = Builder()
    W, lr = (
        b.input(ValueType("f32", (2, 3)), "parameter", "W"),
        b.input(ValueType("f64", (), "python"), "hyper", "lr"),
    )
    c = b.constant(np.zeros(3, np.float32), "c")
    new = b.add("subtract", (W, b.add("multiply", (c, lr))))
    program = b.program(
        [
            Output(b.add("sum", (W,), {"axis": (0, 1), "keepdims": False}, name="total")),
            Output(new, "parameter", replaces=W),
            Output(c, "gradient", "c"),
        ]
    )
    script = f"""(() => {{
        {to_javascript(program, "f")}
        const {{ inputs, constants, outputs }} = f([new Float32Array(3)]);
        return [inputs, constants, outputs];
    }})()"""
    ((inputs, constants, outputs),) = answers_to([{"script": script}])
    assert inputs[0] == {
        "name": "W",
        "shape": [2, 3],
        "dtype": "f32",
        "kind": "array",
        "role": "parameter",
    }
    assert inputs[1] == {
        "name": "lr",
        "shape": [],
        "dtype": "f64",
        "kind": "python",
        "role": "hyper",
    }
    assert constants == [{"name": "c", "shape": [3], "dtype": "f32", "kind": "array"}]
    assert [o["name"] for o in outputs] == ["total", None, "c"]
    assert [o["replaces"] for o in outputs] == [None, 0, None]
    assert [o["role"] for o in outputs] == ["value", "parameter", "gradient"]


@needs_engine
def test_two_functions_share_no_memory():
    b = Builder()
    x = b.input(ValueType("f64", (2,)))
    y = b.add("exp", (x,))
    code = to_javascript(
        b.program([b.add("multiply", (y, b.add("sum", (y,), {"axis": (0,), "keepdims": True})))]),
        "f",
    )
    script = f"""(() => {{ {code}
        const one = f(), two = f();
        const [first] = one.run([[0, 0]]);
        two.run([[5, 5]]);
        return [...first];
    }})()"""
    assert answers_to([{"script": script}]) == [[2.0, 2.0]]


@needs_engine
@pytest.mark.parametrize("dtype", list(DTYPES))
def test_text_of_an_array_is_read_in_a_page(dtype):
    array = np.array([[0, 1, 100]] * 2).astype(DTYPES[dtype])
    call = f'typedArray("{dtype}", "{array_text(array)}")'
    script = f"(() => {{ {ARRAYS_JS} return Array.from({call}, Number); }})()"
    assert answers_to([{"script": script}]) == [array.ravel().astype(float).tolist()]


@needs_engine
@pytest.mark.parametrize("name", ["exp", "run", "fed", "constants", "x"])
def test_function_may_have_a_name_that_is_used_in_it(name):
    b = Builder()
    x = b.input(ValueType("f64"), name="x")
    code = to_javascript(b.program([b.add("exp", (x,))]), name)
    assert answers_to([{"script": f"(() => {{ {code} return {name}().run([0]); }})()"}]) == [[1]]


def test_what_a_nest_alone_reads_is_not_stored():
    b = Builder()
    x = b.input(ValueType("f64", (4, 3)), name="x")
    y = b.add("exp", (b.add("negative", (b.add("add", (x, 1.0)),)),), name="y")
    code = to_javascript(b.program([y]))
    assert code.count("new Float64Array") == 1
    assert code.count("for (let j = 0; j < 12; j++)") == 1
    assert "a2[j] = exp(-(a1[j] + 1));" in code
    assert "kernel_1(x, y);" in code


def test_softmax_is_one_kernel_but_for_what_is_broadcast():
    b = Builder()
    x = b.input(ValueType("f64", (4, 3)), name="x")
    rows = {"axis": (1,), "keepdims": True}
    e = b.add("exp", (b.add("subtract", (x, b.add("max", (x,), rows, name="most"))),), name="e")
    total = b.add("sum", (e,), rows, name="total")
    code = to_javascript(b.program([b.add("divide", (e, total), name="p")]))
    assert code.count("function kernel_") == 1
    assert code.count("new Float64Array") == 2  # the result, and a row of exponentials
    assert code.count("exp(") == 1


def test_arrays_that_are_not_needed_at_one_time_share_memory():
    b = Builder()
    x = b.input(ValueType("f32", (6, 6)), name="x")
    for _ in range(6):
        x = b.add("matmul", (b.add("exp", (x,)), x))
    flags = b.add("sum", (b.add("greater", (x, 0.5)),), {"axis": (0,), "keepdims": False})
    program = b.program([b.add("sum", (x,), {"axis": (0,), "keepdims": False}), flags])
    code = to_javascript(program)
    assert code.count("new Float32Array(36)") == 3
    assert code.count("= t1;") + code.count("= t2;") + code.count("= t3;") == 9
    assert to_javascript(program, for_any_rows=True).count("new Float32Array(36)") == 12
    assert_agrees(program, random_arguments(program))


def test_numbers_that_all_calls_of_a_kernel_share_are_written_into_it():
    b = Builder()
    first, second = (b.input(ValueType("f64", (n,)), name=name) for n, name in ((4, "x"), (5, "y")))
    program = b.program([b.add("multiply", (b.add("exp", (x,)), 3.0)) for x in (first, second)])
    code = to_javascript(program)
    assert code.count("function kernel_") == 1
    assert "* 3" in code
    assert "kernel_1(x, 4, " in code
    assert "kernel_1(y, 5, " in code


@needs_engine
def test_functions_of_f32_are_native_codes_to_the_bit():
    native = pytest.importorskip("miniflow.backends.native")
    if not native.is_available():
        pytest.skip("needs llvmlite (the extra `native`)")
    rng, b = np.random.default_rng(5), Builder()
    numbers = (rng.standard_normal(20_000) * np.exp(rng.uniform(-9, 4, 20_000))).astype(np.float32)
    x = b.input(type_of(numbers))
    names = ("exp", "expm1", "log", "log1p", "tanh", "arctan", "sqrt", "absolute", "floor")
    program = b.program([b.add(name, (x,)) for name in names])
    with np.errstate(all="ignore"):
        wanted = native.lower(program).run([numbers])
    for ours, theirs in zip(told_by(program, numbers).results, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["", "1f", "a b", "f;g", "σ", "class", "await"])
def test_name_of_the_function_is_checked(name):
    with pytest.raises(CompileError, match="cannot be called"):
        to_javascript(two_layers(), name)


@needs_engine
@pytest.mark.parametrize(
    ("optimizer", "fed"),
    [
        (mf.RMSprop(0.1, epsilon=0.0), [0.0, 1.0]),
        (mf.Adam(0.1), [np.inf, 1.0]),
        (mf.SGD(0.1, momentum=0.9), [np.nan, 1.0]),
    ],
    ids=["RMSprop", "Adam", "SGD"],
)
def test_what_an_update_would_spoil_stays_as_it_was(optimizer, fed):
    x, w = mf.Input("x"), mf.Parameter([1.0, 2.0], "w")
    step = mf.compile(mf.Sum(mf.Tanh(w * x)), optimizer=optimizer, backend="numpy")
    step({x: np.array([1.0, 2.0])})
    for array in optimizer.state.values():
        array[...] = 0
    arguments = [
        {"w": w.value, "x": np.array(fed), "lr": 0.1}.get(
            e.variable.name, optimizer.state.get(e.variable.name)
        )
        for e in step.program.inputs
    ]
    told = told_by(step.program, *arguments)
    assert told.error is not None
    assert told.error.endswith("; nothing was updated")
    for before, after in zip(arguments, told.arguments, strict=True):
        np.testing.assert_array_equal(before, after)
