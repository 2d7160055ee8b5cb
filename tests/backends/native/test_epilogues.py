"""Products with an epilogue, as machine code: the bits of a product and then a loop."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower, lowered, machine
from miniflow.backends.native.products.epilogue import plan_epilogue, print_epilogue
from miniflow.ir import Builder, Output, Program, ValueType
from miniflow.lowering import column_sums, epilogues, pieces
from miniflow.lowering.loop_program import FusedProduct

from .test_products import WIDTHS

SHAPES = [(1, 1, 1), (5, 3, 7), (29, 9, 70), (13, 40, 33)]


def with_everything(m: int, k: int, n: int, dtype: str, is_flat: bool) -> Program:
    """What epilogues can hold: rows and columns beside them, numbers, conditions, functions, other
    dtypes, arrays that are read, written, and both.
    """
    b = Builder()
    x, w = b.input(ValueType(dtype, (m, k)), name="x"), b.input(ValueType(dtype, (k, n)), name="w")
    old = b.input(ValueType(dtype, (m, n)), "parameter", "old")
    mask = b.input(ValueType("bool", (m, n)), name="mask")
    lr = b.input(ValueType("f64", (), "python"), "hyper", "lr")
    z = b.add("matmul", (x, w))
    if not is_flat:
        column = b.input(ValueType(dtype, (n,)), name="column")
        row = b.input(ValueType(dtype, (m, 1)), name="row")
        z = b.add("multiply", (b.add("add", (z, column)), row))
    chosen = b.add("where", (mask, b.add("tanh", (z,)), 0.0))
    outputs = [
        b.add("greater", (z, 0)),
        chosen,
        b.add("cast", (z,), {"dtype": "f16"}),
        b.add("cast", (z,), {"dtype": "f64"}),
    ]
    new = b.add("subtract", (old, b.add("multiply", (chosen, lr))))
    return b.program([*outputs, Output(new, "parameter", replaces=old)])


def added(m: int, k: int, n: int, dtype: str) -> Program:
    """A momentum and what it moves: entries of a sum of products, which stay where they are."""
    b = Builder()
    x, w = b.input(ValueType(dtype, (m, k)), name="x"), b.input(ValueType(dtype, (k, n)), name="w")
    momentum, old = (b.input(ValueType(dtype, (m, n)), "parameter", name) for name in ("v", "old"))
    lr = b.input(ValueType("f64", (), "python"), "hyper", "lr")
    z = b.add("gemm", (momentum, x, w, 1.5, 0.9))
    new = b.add("subtract", (old, b.add("multiply", (b.add("tanh", (z,)), lr))))
    return b.program(
        [Output(z, "state", replaces=momentum), Output(new, "parameter", replaces=old)]
    )


def short(m: int, k: int, n: int, dtype: str) -> Program:
    """A bias and a ReLU, and where that is above 0."""
    b = Builder()
    x, w = b.input(ValueType(dtype, (m, k)), name="x"), b.input(ValueType(dtype, (k, n)), name="w")
    bias = b.input(ValueType(dtype, (n,)), name="bias")
    z = b.add("add", (b.add("matmul", (x, w)), bias))
    return b.program([b.add("maximum", (z, 0.0)), b.add("greater", (z, 0.0))])


KINDS = {
    "short": short,
    "by rows": partial(with_everything, is_flat=False),
    "flat": partial(with_everything, is_flat=True),
    "added": added,
}


def arguments_of(program: Program, seed: int) -> list:
    rng = np.random.default_rng(seed)
    found: list = []
    for entry in program.inputs:
        type_ = entry.variable.type
        if type_.kind == "python":
            found.append(0.25)
        elif type_.dtype == "bool":
            found.append(rng.random(type_.shape) < 0.5)
        else:
            values = rng.standard_normal(type_.shape)
            found.append(values.astype({"f32": np.float32, "f64": np.float64}[type_.dtype]))
    return found


def results(program: Program, monkeypatch, is_fused: bool) -> list[bytes]:
    """All that a program computes, bit by bit, and what it updates."""
    with monkeypatch.context() as patched:
        if not is_fused:
            patched.setattr(lowered, "can_finish", lambda step: False)
        step = lower(program)
    kinds = [type(s) for s in step.loop_program.all_steps()]
    assert (FusedProduct in kinds) == is_fused
    arguments = arguments_of(program, 0)
    found = step.run(arguments)
    return [np.asarray(x).tobytes() for x in (*found, *arguments)]


@pytest.mark.parametrize("width", sorted(WIDTHS))
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_an_epilogue_has_the_bits_of_a_loop_behind_the_product(width, dtype, monkeypatch):
    for shape, kind in itertools.product(SHAPES, KINDS):
        program = KINDS[kind](*shape, dtype)
        wanted = results(program, monkeypatch, is_fused=False)
        with monkeypatch.context() as patched:
            patched.setattr(machine, "processor", lambda: WIDTHS[width])
            is_one_column = shape[2] == 1  # which is computed as a row
            if not is_one_column:
                assert results(program, monkeypatch, is_fused=True) == wanted, (shape, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_partial_sums_of_blocks_of_k_are_not_seen_by_the_epilogue(kind, monkeypatch):
    program = KINDS[kind](20, 2000, 40, "f32")
    wanted = results(program, monkeypatch, is_fused=False)
    assert results(program, monkeypatch, is_fused=True) == wanted


@pytest.mark.parametrize("shape", [(40, 30, 300), (300, 30, 40), (300, 700, 200)])
@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_a_product_have_their_part_of_the_epilogue(shape, kind, monkeypatch):
    program = KINDS[kind](*shape, "f32")
    wanted = results(program, monkeypatch, is_fused=False)
    monkeypatch.setattr(pieces, "FEWEST", 0)
    step = next(s for s in lower(program).loop_program.steps if isinstance(s, FusedProduct))
    parts = [part for piece in pieces.cut_step(step) for part in piece]
    assert all(isinstance(part, FusedProduct) for part in parts)
    assert len(parts) > 1
    assert results(program, monkeypatch, is_fused=True) == wanted


def test_functions_of_an_epilogue_are_those_of_a_loop(monkeypatch):
    b = Builder()
    x, w = (b.input(ValueType("f32", shape), name="xw") for shape in ((6, 6), (6, 21)))
    z = b.add("matmul", (x, w))
    whole = b.add("cast", (z,), {"dtype": "i32"})
    program = b.program(
        [
            b.add("remainder", (z, 0.75)),
            b.add("floor_divide", (whole, 3)),
            b.add("floor_divide", (7, whole)),
            b.add("power", (b.add("absolute", (z,)), 1.7)),
            b.add("hypot", (z, 0.5)),
        ]
    )
    wanted = results(program, monkeypatch, is_fused=False)
    assert results(program, monkeypatch, is_fused=True) == wanted


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_an_epilogue_is_assembled_for_aarch64(dtype):
    """It has not been run there."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this llvmlite compiles for its own processor only")
    steps = lower(with_everything(8, 8, 20, dtype, is_flat=False)).loop_program.steps
    (step,) = (s for s in steps if isinstance(s, FusedProduct))
    epilogue = plan_epilogue(step)
    assert epilogue is not None
    text = print_epilogue(epilogue, 16 // (4 if dtype == "f32" else 8), 2, True, True)
    module = llvm.parse_assembly(text)
    module.verify()
    machine_of_arm = target.create_target_machine(cpu="generic", opt=2)
    assembly = machine_of_arm.emit_assembly(module)
    assert "\tfmla\t" in assembly  # in tanh
    assert "\tbl\t" not in assembly  # no call of a library


def wide_layer(m: int, n: int, classes: int, dtype: str) -> Program:
    """The gradients of a layer of n before one of a few classes, and an update."""
    b = Builder()
    shapes = {"x": (m, 5), "h": (m, n), "d": (m, classes), "v": (n, classes)}
    x, h, d, v = (b.input(ValueType(dtype, s), name=name) for name, s in shapes.items())
    w = b.input(ValueType(dtype, (5, n)), "parameter", "w")
    back = b.add("matmul", (d, b.add("transpose", (v,), {"axes": (1, 0)})))
    slope = b.add("multiply", (b.add("multiply", (back, h)), b.add("subtract", (1.0, h))))
    total = b.add("sum", (slope,), {"axis": (0,), "keepdims": False})
    turned = b.add("transpose", (x,), {"axes": (1, 0)})
    new = b.add("gemm", (w, turned, slope, -0.5, 1.0))
    return b.program([Output(total), Output(new, "parameter", replaces=w)])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_a_wide_layer_has_its_gradient_made_with_the_product_and_its_sums_apart(dtype, monkeypatch):
    """The same bits as in one loop, whole and in pieces."""
    program, found = wide_layer(150, 70, 10, dtype), list[list[bytes]]()
    for least, large in ((1e9, 1e9), (1e9, 0), (0, 0), (0, 1e9)):
        with monkeypatch.context() as patched:
            patched.setattr(pieces, "FEWEST", least)
            patched.setattr(column_sums, "_LARGE", large)
            patched.setattr(epilogues, "_NEAR", 0)
            step = lower(program)
        made = [s for s in step.loop_program.all_steps() if isinstance(s, FusedProduct)]
        assert len(made) == (large == 0)
        arguments = arguments_of(program, 0)
        results = step.run(arguments)
        found.append([x.tobytes() for x in (*results, *arguments)])
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize(
    ("m", "n", "classes", "is_apart"),
    [(512, 1024, 10, True), (128, 128, 10, False), (512, 1024, 40, False)],
)
def test_sums_are_made_apart_where_threads_gain_by_that(m, n, classes, is_apart):
    steps = lower(wide_layer(m, n, classes, "f32")).loop_program.all_steps()
    assert any(isinstance(step, FusedProduct) for step in steps) == is_apart
