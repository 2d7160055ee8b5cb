"""Windows read where the images are, as machine code: the bits of a copy and then a product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import lower, lowered, machine
from miniflow.backends.native.products import blocking, plan
from miniflow.backends.native.products import in_place as in_place_products
from miniflow.backends.native.products.gather_windows import WindowShape, print_gather_windows
from miniflow.backends.native.products.in_place import plan_in_place
from miniflow.backends.native.products.micro_kernel import TileShape
from miniflow.backends.native.products.print_in_place import print_kernel_in_place
from miniflow.ir import Builder, Program, ValueType
from miniflow.lowering import pieces
from miniflow.lowering.loop_evaluate import evaluate_loop_program
from miniflow.lowering.loop_program import (
    BufferView,
    Copy,
    FusedProduct,
    Product,
    WindowMatrix,
)

from .product_steps import run, run_plan
from .test_products import WIDTHS


class Convolution(NamedTuple):
    """Images (n, h, w, c), seen through windows."""

    images: tuple[int, int, int, int]
    window: tuple[int, int]
    stride: int = 1
    dilation: int = 1
    channels: int = 5


CONVOLUTIONS = {
    "one channel": Convolution((3, 9, 11, 1), (5, 5)),
    "channels side by side": Convolution((2, 5, 4, 16), (2, 3)),
    "few channels": Convolution((2, 5, 6, 3), (3, 3)),
    "one kernel": Convolution((2, 9, 9, 2), (3, 3), channels=1),
    "strides": Convolution((2, 9, 9, 3), (3, 3), stride=2),
    "holes": Convolution((2, 9, 9, 1), (3, 3), dilation=2),
    "many runs": Convolution((1, 20, 20, 1), (7, 7), dilation=2, channels=3),
    "long runs": Convolution((2, 3, 3, 350), (2, 2)),
    "many rows": Convolution((2, 40, 40, 1), (3, 3), channels=34),
}


def program_of(convolution: Convolution, dtype: str, sums: bool = False) -> Program:
    """The product of all windows with a kernel, and that of their transpose with a gradient; or
    that of it with an activation's gradient, and the sums of this over all places.
    """
    (n, h, w, c), (i, j), stride, dilation, channels = convolution
    b = Builder()
    x = b.input(ValueType(dtype, (n, h, w, c)), name="x")
    i, j = ((k - 1) * dilation + 1 for k in (i, j))
    seen = b.add("windows", (x,), {"axes": (1, 2), "window": (i, j)})
    rows, columns = -(-(h - i + 1) // stride), -(-(w - j + 1) // stride)
    inside = tuple((0, -(-k // dilation), dilation) for k in (i, j))
    index = ((0, n, 1), (0, rows, stride), (0, columns, stride), (0, c, 1), *inside)
    part = b.add("slice", (seen,), {"index": index})
    turned = b.add("transpose", (part,), {"axes": (0, 1, 2, 4, 5, 3)})
    elements = inside[0][1] * inside[1][1] * c
    matrix = b.add("reshape", (turned,), {"shape": (n * rows * columns, elements)})
    k = b.input(ValueType(dtype, (elements, channels)), name="k")
    g = b.input(ValueType(dtype, (n * rows * columns, channels)), name="g")
    back = b.add("transpose", (matrix,), {"axes": (1, 0)})
    if sums:
        passed = b.add("where", (b.add("greater", (g, 0.0)), g, 0.5))
        added_up = [passed, g, b.add("multiply", (g, g))]  # by a loop of g's, the last two
        totals = [b.add("sum", (x,), {"axis": (0,), "keepdims": False}) for x in added_up]
        return b.program([b.add("matmul", (back, x)) for x in (passed, g)] + totals)
    return b.program([b.add("tanh", (b.add("matmul", (matrix, k)),)), b.add("matmul", (back, g))])


def results(program: Program, reads: bool, monkeypatch: Any) -> list[bytes]:
    with monkeypatch.context() as patched:
        if not reads:
            patched.setattr(lowered, "can_read_windows", lambda product: False)
        step = lower(program)
    steps = [s.product if isinstance(s, FusedProduct) else s for s in step.loop_program.all_steps()]
    read = [s for s in steps if isinstance(s, Product) and isinstance(s.a, WindowMatrix)]
    assert (len(read), any(isinstance(s, Copy) for s in steps)) == (
        (2, False) if reads else (0, True)
    )
    return [array.tobytes() for array in step.run(arguments_of(program))]


def arguments_of(program: Program) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    dtypes = {"f32": np.float32, "f64": np.float64}
    types = (entry.variable.type for entry in program.inputs)
    return [rng.standard_normal(t.shape).astype(dtypes[t.dtype]) for t in types]


@pytest.mark.parametrize("width", sorted(WIDTHS))
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_windows_have_the_bits_of_their_copies(width, dtype, monkeypatch):
    for what, convolution in CONVOLUTIONS.items():
        program = program_of(convolution, dtype)
        wanted = results(program, False, monkeypatch)
        with monkeypatch.context() as patched:
            patched.setattr(machine, "processor", lambda: WIDTHS[width])
            assert results(program, True, monkeypatch) == wanted, what


@pytest.mark.parametrize("cache", [1, 1 << 12])
@pytest.mark.parametrize("in_place", [True, False])
def test_blocks_of_windows_may_begin_anywhere(cache, in_place, monkeypatch):
    """Few windows at a time, and products in pieces; read where they lie, and gathered."""
    monkeypatch.setattr(pieces, "FEWEST", 0)
    for convolution in CONVOLUTIONS.values():
        program = program_of(convolution, "f32")
        wanted = results(program, False, monkeypatch)
        with monkeypatch.context() as patched:
            patched.setattr(blocking, "SECOND_CACHE", cache)
            patched.setattr(in_place_products, "_BLOCK", cache)
            if not in_place:
                patched.setattr(plan, "plan_in_place", lambda *_: None)
            assert results(program, True, monkeypatch) == wanted


@pytest.mark.parametrize("width", ["avx2", "avx512"])
def test_sums_in_products_are_the_chains_that_they_are_alone(width, monkeypatch):
    """The gradient of a bias, made with that of the kernel; whole, and in pieces."""
    for what in ("one channel", "channels side by side", "holes", "one kernel"):
        program = program_of(CONVOLUTIONS[what], "f32", sums=True)
        found = list[list[bytes]]()
        for least, can_sum in ((1e9, False), (1e9, True), (0, True)):
            with monkeypatch.context() as patched:
                patched.setattr(machine, "processor", lambda: WIDTHS[width])
                patched.setattr(in_place_products, "_BLOCK", 1 << 12)
                patched.setattr(pieces, "FEWEST", least)
                if not can_sum:
                    patched.setattr(lowered, "can_sum", lambda product: False)
                step = lower(program)
                made = [s for s in step.loop_program.all_steps() if isinstance(s, Product)]
                is_summed = can_sum and what != "one kernel"
                assert any(s.sums is not None for s in made) == is_summed
                found.append([array.tobytes() for array in step.run(arguments_of(program))])
        assert found[0] == found[1] == found[2]
        again = evaluate_loop_program(step.loop_program, arguments_of(program))
        for array, wanted in zip(again, step.run(arguments_of(program)), strict=True):
            np.testing.assert_allclose(array, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("beta", [None, 0.5])
def test_windows_of_four_axes_are_added_to_what_is_there(beta, monkeypatch):
    """Places and elements along four axes each, a few places at a time, in the order of k."""
    monkeypatch.setattr(in_place_products, "_BLOCK", 600)
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(s).astype(np.float32) for s in ((4, 5, 6, 7), (240, 5)))
    seen = np.lib.stride_tricks.sliding_window_view(x, (2, 2, 3, 3))
    strides = tuple(stride // 4 for stride in seen.strides)
    view = BufferView("x", "f32", 0, seen.shape, strides)
    k, n = int(np.prod(seen.shape[:4])), int(np.prod(seen.shape[4:]))
    a = WindowMatrix(view, 4, (0, k), (3, n - 3), is_turned=True)
    c = rng.standard_normal((n - 3, 5)).astype(np.float32)
    wanted = c.copy()
    views = (BufferView(w, "f32", 0, y.shape, (5, 1)) for w, y in (("g", g), ("c", c)))
    found = plan_in_place(a, *views, machine.processor())
    assert found is not None
    assert found.block is not None
    run_plan(found, {"a": x, "b": g, "c": c}, alpha=0.25, beta=beta)
    run(np.ascontiguousarray(seen.reshape(k, n).T)[3:], g, wanted, alpha=0.25, beta=beta)
    assert c.tobytes() == wanted.tobytes()


def test_what_reads_windows_is_assembled_for_aarch64():
    """It has not been run there."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this llvmlite compiles for its own processor only")
    shape = TileShape("f32", 4, 3, 2, is_edge=False, is_padded=False, has_fma=True)
    kernel = print_kernel_in_place(shape, (0, 4, None), ((None, 64), (5, 4)), 8)
    for text in (print_gather_windows("f32", 4, WindowShape((1, 1, 5), 5), False), kernel):
        module = llvm.parse_assembly(text)
        module.verify()
        assert "run:" in target.create_target_machine(cpu="generic", opt=2).emit_assembly(module)
