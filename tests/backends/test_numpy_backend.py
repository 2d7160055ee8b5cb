"""Whole programs in NumPy code: what they return, and what they change and when."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir.programs import two_layers

from miniflow.backends.numpy import lower
from miniflow.ir import Builder, Output, Program, ProgramError, ValueType, evaluate, type_of
from miniflow.passes import share_exponentials

from .agreement import assert_agrees, copies, random_arguments
from .with_blas import with_and_without_blas

# What is computed.


@with_and_without_blas
@pytest.mark.parametrize(
    "shape",
    [(4, 3, 5, 2), (1, 1, 1, 1), (128, 16, 32, 10), (40, 7, 1, 3), (33, 5, 4, 40), (2, 1, 3, 1)],
)
def test_training_steps_agree_with_the_evaluator(shape, setting, monkeypatch):
    monkeypatch.setenv("MINIFLOW_BLAS", setting)
    program = two_layers(*shape)
    runs = [random_arguments(program, seed, labels=shape[-1]) for seed in range(3)]
    assert_agrees(lower, program, *runs)


def test_steps_follow_on_each_other():
    program = two_layers(16, 8, 6, 3)
    executable, ours = lower(program), random_arguments(program, labels=3)
    theirs = copies(ours)
    for seed in range(4):
        ours[:2] = theirs[:2] = random_arguments(program, seed, labels=3)[:2]
        (loss,) = executable.run(ours)
        values = evaluate(program, theirs)
        theirs[2:6] = values[1:]
        assert loss == pytest.approx(values[0], rel=1e-5)
    for mine, its in zip(ours[2:6], theirs[2:6], strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)


def test_parameters_may_lie_elsewhere_at_the_next_call():
    program = two_layers()
    executable = lower(program)
    for seed in range(3):
        arguments = random_arguments(program, seed)
        wanted = evaluate(program, copies(arguments))
        executable.run(arguments)
        np.testing.assert_allclose(arguments[2], wanted[1], rtol=1e-5)


def test_operands_of_products_in_every_layout(monkeypatch):
    for setting in ("auto", "off"):
        monkeypatch.setenv("MINIFLOW_BLAS", setting)
        b = Builder()
        x, y = b.input(ValueType("f64", (6, 4))), b.input(ValueType("f64", (2, 3, 4)))
        row = b.input(ValueType("f64", (4,)))
        e = b.add("exp", (x,))
        transposed = b.add("transpose", (e,), {"axes": (1, 0)})
        column = b.add("reshape", (row,), {"shape": (4, 1)})
        reshaped = b.add("reshape", (transposed,), {"shape": (6, 4)})
        views = [
            (b.add("slice", (e,), {"index": ((1, 3, 1), (0, 4, 1))}), transposed),
            (b.add("slice", (e,), {"index": ((0, 3, 2), (1, 2, 2))}), b.add("exp", (y,))),
            (b.add("slice", (x,), {"index": ((5, 6, -1), (0, 4, 1))}), transposed),
            (b.add("reshape", (y,), {"shape": (6, 4)}), transposed),
            (b.add("broadcast_to", (column,), {"shape": (4, 6)}), e),
            (b.add("transpose", (reshaped,), {"axes": (1, 0)}), e),
            (b.add("transpose", (x,), {"axes": (1, 0)}), x),
        ]
        outputs = []
        for left, right in views:
            if len(right.shape) == 3:
                right = b.add("slice", (right,), {"index": (0, (0, 2, 1), (0, 2, 2))})
            outputs.append(b.add("matmul", (left, right)))
        program = b.program(outputs)
        assert_agrees(lower, program, *(random_arguments(program, seed) for seed in range(2)))


def test_a_reshape_of_what_does_not_lie_in_order_is_a_copy():
    b = Builder()
    t = b.add("exp", (b.input(ValueType("f64", (3, 4))),))
    transposed = b.add("transpose", (t,), {"axes": (1, 0)})
    views = [
        transposed,
        b.add("slice", (transposed,), {"index": ((0, 4, 1), (0, 3, 1))}),
        b.add("slice", (t,), {"index": ((0, 2, 1), (0, 3, 1))}),
        b.add("slice", (t,), {"index": ((0, 2, 2), (0, 4, 1))}),
        b.add("slice", (t,), {"index": ((0, 3, 1), 1)}),
        b.add(
            "broadcast_to", (b.add("slice", (t,), {"index": (0, (0, 4, 1))}),), {"shape": (2, 4)}
        ),
    ]
    flat = [b.add("reshape", (view,), {"shape": (view.type.size,)}) for view in views]
    program = b.program([b.add("negative", (x,)) for x in flat])
    assert_agrees(lower, program, *(random_arguments(program, seed) for seed in range(2)))


@settings(max_examples=4 * settings.default.max_examples, deadline=None)
@given(data=st.data())
def test_views_of_views_are_right(data):
    """Chains of views, of an input and of a computed array, reshaped wherever that is possible."""
    b = Builder()
    x = b.input(ValueType("f32", (2, 3, 4)))
    view = b.add("exp", (x,)) if data.draw(st.booleans()) else x
    for _ in range(data.draw(st.integers(1, 4))):
        shape = view.shape
        match data.draw(st.sampled_from(["transpose", "slice", "reshape", "broadcast_to"])):
            case "transpose":
                axes = tuple(data.draw(st.permutations(range(len(shape)))))
                view = b.add("transpose", (view,), {"axes": axes})
            case "slice":
                index = tuple(data.draw(slices(n)) for n in shape)
                view = b.add("slice", (view,), {"index": index})
            case "reshape":
                size = int(np.prod(shape))
                view = b.add(
                    "reshape",
                    (view,),
                    {"shape": data.draw(st.sampled_from([(size,), (1, size), shape]))},
                )
            case _:
                view = b.add("broadcast_to", (view,), {"shape": (2, *shape)})
        if view.type.kind != "array" or len(view.shape) > 5:
            break
    program = b.program([view, b.add("add", (view, 1.0))])
    assert_agrees(lower, program, random_arguments(program))


def slices(n: int) -> st.SearchStrategy:
    runs = [(0, n, 1), (n - 1, n, -1), (0, 1, 1), (0, (n + 1) // 2, 2), (n - 1, 1, 1)]
    return st.sampled_from([*runs, n - 1])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_random_programs_agree_with_the_evaluator(seed):
    rng = np.random.default_rng(seed)
    program = random_program(rng)
    assert_agrees(lower, program, random_arguments(program, 1), random_arguments(program, 2))


def random_program(rng: np.random.Generator) -> Program:
    """Write thirty equations on matrices, and update two parameters."""
    b = Builder()
    x = b.input(ValueType("f64", (5, 5)), name="x")
    parameters = [b.input(ValueType("f64", (5, 5)), "parameter", name) for name in "pq"]
    at = b.input(ValueType("i64", (5,)), name="at")
    rows = b.add("arange", (), {"start": 0, "stop": 5, "step": 1, "dtype": "i64"})
    matrices, column = [x, *parameters], b.add("sum", (x,), {"axis": (1,), "keepdims": True})

    def pick():
        return matrices[-1 - int(rng.integers(min(6, len(matrices))))]

    for _ in range(int(rng.integers(5, 30))):
        kind = int(rng.integers(12))
        if kind == 0:
            new = b.add("transpose", (pick(),), {"axes": (1, 0)})
        elif kind == 1:
            new = b.add("tanh", (b.add("matmul", (pick(), pick())),))
        elif kind == 2:
            new = b.add("tanh", (b.add("gemm", (pick(), pick(), pick(), 0.5, 1.0)),))
        elif kind == 3:
            column = b.add("max", (pick(),), {"axis": (1,), "keepdims": True})
            new = b.add("subtract", (pick(), column))
        elif kind == 4:
            picked = b.add("gather", (pick(), rows, at), {"axes": (0, 1)})
            new = b.add("gather_update", (pick(), picked, rows, at), {"axes": (0, 1)})
        elif kind == 5:
            new = b.add(
                "scatter_add",
                (pick(), b.add("slice", (pick(),), {"index": ((0, 5, 1), 2)}), rows, at),
                {"axes": (0, 1)},
            )
        elif kind == 6:
            new = b.add("where", (b.add("greater", (pick(), 0)), pick(), pick()))
        elif kind == 7:
            new = b.add("multiply", (pick(), b.add("less", (pick(), 0.5))))
        elif kind == 8:
            part = b.add("slice", (pick(),), {"index": ((0, 2, 1), (0, 5, 1))})
            new = b.add("slice_update", (pick(), part), {"index": ((3, 2, -1), (0, 5, 1))})
        elif kind == 9:
            flat = b.add("reshape", (pick(),), {"shape": (25,)})
            new = b.add("reshape", (b.add("absolute", (flat,)),), {"shape": (5, 5)})
        else:
            new = b.add(str(rng.choice(["add", "subtract", "maximum"])), (pick(), pick()))
        matrices.append(new)
    outputs = [
        Output(matrices[-1]),
        Output(b.add("sum", (pick(),), {"axis": (0, 1), "keepdims": False})),
    ]
    new_values = [b.add("multiply", (b.add("add", (p, pick())), 0.25)) for p in parameters]
    if rng.random() < 0.3:
        new_values = new_values[::-1]
    outputs += [
        Output(v, "parameter", replaces=p) for v, p in zip(new_values, parameters, strict=True)
    ]
    return b.program(outputs)


def test_programs_of_python_numbers_become_formulas():
    b = Builder()
    x, y, z = (b.input(ValueType("f64", (), "python"), name=name) for name in "xyz")
    value = b.add("add", (b.add("multiply", (x, y)), b.add("multiply", (x, z))))
    negative = b.add(
        "negative", (b.add("power", (b.add("subtract", (x, b.add("subtract", (y, z)))), 2)),)
    )
    executable = lower(b.program([value, b.add("add", (y, z)), negative]))
    assert "import" not in executable.source
    assert executable.source.endswith("return [x * y + x * z, y + z, -(x - (y - z)) ** 2]\n")
    assert executable.run([3.0, 4.0, 5.0]) == [27.0, 9.0, -16.0]


def test_comparisons_are_not_chained():
    b = Builder()
    x, y, z = (b.input(ValueType("f64", (), "python"), name=name) for name in "xyz")
    executable = lower(b.program([b.add("less", (b.add("less", (x, y)), z))]))
    assert executable.source.endswith("return [(x < y) < z]\n")
    assert executable.run([1.0, 2.0, 1.5]) == [True]


@settings(max_examples=4 * settings.default.max_examples, deadline=None)
@given(data=st.data())
def test_formulas_keep_their_meaning(data):
    names = ["add", "subtract", "multiply", "negative", "power", "less", "absolute", "maximum"]
    b = Builder()
    values = [b.input(ValueType("f64", (), "python")) for _ in range(3)]
    for _ in range(data.draw(st.integers(1, 8))):
        name = data.draw(st.sampled_from(names))
        operands = [
            data.draw(st.sampled_from(values))
            for _ in range(1 + (name not in ("negative", "absolute")))
        ]
        if name == "power":
            operands[1] = 2
        with contextlib.suppress(ProgramError):  # minus np.True_, for one
            values.append(b.add(name, operands))
    program = b.program([values[-1], *values[3:5]])
    assert_agrees(lower, program, [1.5, -0.75, 2.0])


def test_a_sigmoid_from_one_exponential_has_the_same_bits():
    x = np.array([0.0, -0.0, 1e4, -1e4, np.inf, -np.inf, np.nan, 0.3, -0.3] * 20, np.float32)
    b = Builder()
    v = b.input(type_of(x))
    low = b.add("exp", (b.add("minimum", (v, 0)),))
    e = b.add("exp", (b.add("negative", (b.add("absolute", (v,)),)),))
    sigmoid = b.add("divide", (low, b.add("add", (1, e))))
    for outputs in ([sigmoid], [sigmoid, b.equations[0].result, e, low]):
        program = b.program(outputs)
        executable = lower(share_exponentials(program))
        assert executable.source.count("exp(") == 1
        with np.errstate(all="ignore"):
            pairs = zip(executable.run([x]), evaluate(program, [x]), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs)


# What is changed, and when.


def test_fed_arrays_may_be_read_only_and_outputs_are_the_callers_own():
    b = Builder()
    x, p = b.input(ValueType("f64", (3,))), b.input(ValueType("f64", (3,)), "parameter")
    constant = b.constant(np.arange(3.0))
    t = b.add("exp", (x,))
    view = b.add("slice", (t,), {"index": ((2, 3, -1),)})
    new = b.add("add", (p, t))
    outputs = [
        x,
        p,
        constant,
        t,
        t,
        view,
        new,
        b.add("arange", (), {"start": 0, "stop": 3, "step": 1, "dtype": "i64"}),
    ]
    program = b.program([*map(Output, outputs), Output(new, "parameter", replaces=p)])
    assert_agrees(lower, program, *(random_arguments(program, seed) for seed in range(3)))


def test_what_was_returned_does_not_change_at_the_next_call():
    b = Builder()
    x = b.input(ValueType("f64", (3,)))
    executable = lower(b.program([b.add("exp", (x,))]))
    (first,) = executable.run([np.zeros(3)])
    executable.run([np.ones(3)])
    assert first.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("n", [4, 2000])  # few indices are checked in another way than many
@pytest.mark.parametrize("label", [3, -4, 2**40])
def test_a_label_out_of_range_leaves_parameters_as_they_were(label, n):
    program = two_layers(n, 3, 5, 3)
    executable, arguments = lower(program), random_arguments(program)
    before = copies(arguments)
    arguments[1][2] = label
    with pytest.raises(IndexError, match=f"index {label} is out of bounds"):
        executable.run(arguments)
    for old, new in zip(before[2:], arguments[2:], strict=True):
        np.testing.assert_array_equal(old, new)
    arguments[1][:4] = [0, 1, -1, -3]
    wanted = evaluate(program, copies(arguments))
    assert executable.run(arguments)[0] == pytest.approx(wanted[0], rel=1e-5)


def test_a_division_by_zero_leaves_parameters_as_they_were():
    b = Builder()
    p, q = (b.input(ValueType("f64", (3, 3)), "parameter", name) for name in "pq")
    n = b.input(ValueType("f64", (), "python"), "hyper", "n")
    x = b.input(ValueType("f64", (3, 3)))
    new_p = b.add("subtract", (p, 1.0))
    new_q = b.add("gemm", (q, x, x, b.add("divide", (1.0, n)), 1.0))
    outputs = [Output(new_p, "parameter", replaces=p), Output(new_q, "parameter", replaces=q)]
    executable = lower(b.program(outputs))
    arguments = [np.ones((3, 3)), np.ones((3, 3)), 0.0, np.ones((3, 3))]
    with pytest.raises(ZeroDivisionError):
        executable.run(arguments)
    assert (arguments[0] == 1).all()
    executable.run([*arguments[:2], 2.0, arguments[3]])
    assert (arguments[0] == 0).all()
    assert (arguments[1] == 2.5).all()


def test_a_range_of_indices_may_count_from_the_end_and_be_out_of_range():
    for start, fits in ((-3, True), (-2, True), (0, True), (1, False), (-4, False)):
        b = Builder()
        x, y = b.input(ValueType("f64", (3, 4))), b.input(ValueType("i64", (3,)))
        params = {"start": start, "stop": start + 3, "step": 1, "dtype": "i64"}
        picked = b.add("gather", (x, b.add("arange", (), params), y), {"axes": (0, 1)})
        program = b.program([picked])
        arguments = random_arguments(program, labels=4)
        if fits:
            assert_agrees(lower, program, arguments)
        else:
            with pytest.raises(IndexError):
                lower(program).run(arguments)


def test_a_range_that_is_broadcast_names_places_twice():
    b = Builder()
    x, i = b.input(ValueType("f64", (3, 4))), b.input(ValueType("i64", (5, 1)))
    columns = b.add("arange", (), {"start": 0, "stop": 4, "step": 1, "dtype": "i64"})
    program = b.program([b.add("scatter_add", (x, 1.0, i, columns), {"axes": (0, 1)})])
    assert_agrees(lower, program, random_arguments(program, labels=3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_leaves_parameters_as_they_were(value):
    program = two_layers()
    executable, arguments = lower(program), random_arguments(program)
    before = copies(arguments)
    arguments[0][0, 0] = value
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="loss is nan"):
        executable.run(arguments)
    for old, new in zip(before[2:], arguments[2:], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_program_that_updates_nothing_returns_nan():
    b = Builder()
    x = b.input(ValueType("f64", (), "python"))
    assert np.isnan(lower(b.program([b.add("multiply", (x, 2.0))])).run([np.nan])[0])


def test_new_values_that_are_swapped_or_inputs():
    b = Builder()
    p, q, s = (b.input(ValueType("f64", (3,)), "state", name) for name in "pqs")
    x = b.input(ValueType("f64", (3,)), name="x")
    outputs = [Output(v, "state", replaces=old) for old, v in ((p, q), (q, p), (s, x))]
    program = b.program([*outputs, Output(b.add("add", (p, q)))])
    assert_agrees(lower, program, random_arguments(program))


def test_an_input_that_is_its_own_new_value_is_left_alone():
    b = Builder()
    p, x = b.input(ValueType("f64", (3,)), "parameter", "p"), b.input(ValueType("f64", (3,)))
    program = b.program([Output(p, "parameter", replaces=p), Output(b.add("add", (p, x)))])
    assert_agrees(lower, program, random_arguments(program))
    assert "[...]" not in lower(program).source


def test_a_long_chain_of_views_is_no_matter():
    b = Builder()
    view = x = b.input(ValueType("f64", (2, 3)))
    for _ in range(3000):
        view = b.add("transpose", (view,), {"axes": (1, 0)})
    program = b.program([b.add("add", (view, x))])
    assert_agrees(lower, program, random_arguments(program))


def test_only_arrays_can_be_given_a_new_value():
    b = Builder()
    n = b.input(ValueType("i64", (), "python"), "state", "n")
    with pytest.raises(ProgramError, match="n is a number"):
        lower(b.program([Output(b.add("add", (n, 1)), "state", replaces=n)]))


# What is allocated.
