"""Products as machine code: each entry the same chain, whatever shape, strides and tiles are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

from miniflow.backends.native import calling, machine, sharing
from miniflow.backends.native.floating_point import in_usual_mode
from miniflow.backends.native.processor import Processor, describe
from miniflow.backends.native.products.blocking import Blocking, choose_blocking
from miniflow.backends.native.products.driver import print_driver
from miniflow.backends.native.products.micro_kernel import TileShape, print_micro_kernel
from miniflow.backends.native.products.packing import BY_COLUMNS, BY_ROWS, print_pack_panels
from miniflow.backends.native.products.plan import DotPlan, compile_product, plan_product
from miniflow.backends.native.products.print_fitted import print_fitted

from .product_steps import chain, chain_of_doubles, product, region, run, run_plan

has_fma = pytest.mark.skipif(
    not machine.processor().has_fma, reason="this processor has no fused multiply-add"
)
# Vectors of other processors: their text runs on any, cut into what the processor has.
WIDTHS = {
    "sse": Processor("", "", 16, 16, False, True),
    "avx2": Processor("", "", 32, 16, True, True),
    "avx512": Processor("", "", 64, 32, True, True),
    "neon": Processor("", "", 16, 32, False, True),
}


def matrices(m, n, k, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((m, k), (k, n))
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


def laid(array, how):
    """The same matrix, elsewhere in memory."""
    if how == "by columns":
        return np.asfortranarray(array)
    if how == "rows apart":
        larger = np.full((array.shape[0], array.shape[1] + 3), np.nan, array.dtype)
        view = larger[:, 2:-1]
    elif how == "columns apart":
        larger = np.full((array.shape[0] + 2, array.shape[1] * 2 + 1), np.nan, array.dtype)
        view = larger[1:-1, 1::2]
    elif how == "backwards":
        view = np.empty_like(array)[::-1, ::-1]
    elif how == "columns backwards":
        view = np.empty_like(array.T).T[:, ::-1]
    else:
        return np.ascontiguousarray(array)
    view[...] = array
    return view


LAID = ("by rows", "by columns", "rows apart", "columns apart", "backwards", "columns backwards")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_small_shape(dtype):
    a, b = matrices(40, 40, 40, dtype)
    exact = a.astype(np.longdouble)[:, :, None] * b.astype(np.longdouble)
    sums = np.cumsum(exact, axis=1)
    rounding = 8 * np.finfo(dtype).eps
    ks = (1, 2, 7, 8, 17, 40)
    for m, n in itertools.product(range(1, 41), range(1, 41)):
        k = ks[(m + 3 * n) % len(ks)]
        by_parts = choose_blocking((m, n, k), a.itemsize, (40, 1, 40, 1), machine.processor())
        is_fitted = (7 * m + n) % 97 == 0  # each is a function of its own
        found = product(a[:m, :k], b[:k, :n], blocking=None if is_fitted else by_parts)
        assert np.abs(found - sums[:m, k - 1, :n]).max() < rounding * k, (m, n, k)


@has_fma
@pytest.mark.parametrize("a_laid", LAID)
@pytest.mark.parametrize("b_laid", LAID)
def test_an_entry_is_one_chain_however_the_operands_lie(a_laid, b_laid):
    for m, n, k in ((1, 37, 40), (37, 1, 40), (13, 18, 70), (25, 40, 9), (3, 3, 1)):
        a, b = matrices(m, n, k)
        for blocking in (None, Blocking(4, 2, 100, 40, False, False)):  # for its shape; by parts
            found = product(laid(a, a_laid), laid(b, b_laid), blocking=blocking)
            np.testing.assert_array_equal(found, chain(a, b), err_msg=f"{m, n, k}")


@has_fma
@pytest.mark.parametrize("shape", [(131, 97, 1601), (300, 150, 90), (1, 257, 2050), (259, 1, 700)])
def test_an_entry_is_one_chain_in_large_products(shape):
    a, b = matrices(*shape)
    expected = chain(a, b)
    for a_laid, b_laid in itertools.product(("by rows", "by columns"), repeat=2):
        np.testing.assert_array_equal(product(laid(a, a_laid), laid(b, b_laid)), expected)


@has_fma
def test_an_entry_is_one_chain_in_float64():
    for m, n, k in ((7, 9, 33), (1, 5, 40), (14, 3, 12)):
        a, b = matrices(m, n, k, np.float64)
        np.testing.assert_array_equal(product(a, b), chain_of_doubles(a, b))


@has_fma
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_bit_depends_on_vectors_tiles_packing_or_blocks(width, dtype):
    a, b = matrices(29, 43, 150, dtype)
    expected = product(a, b)
    for how in ("by rows", "by columns"):
        left, right = laid(a, how), laid(b, how)
        np.testing.assert_array_equal(product(left, right, processor=WIDTHS[width]), expected)
        for rows, vectors, k_block in ((1, 1, 150), (6, 2, 32), (5, 3, 149), (12, 1, 64)):
            for packs_a, packs_b, block_rows, panels in (
                (True, True, 12, 1),
                (True, True, 29, 2),
                (False, False, 29, 3),
            ):
                blocking = Blocking(rows, vectors, k_block, block_rows, packs_a, packs_b, panels)
                found = product(left, right, processor=WIDTHS[width], blocking=blocking)
                np.testing.assert_array_equal(found, expected, err_msg=str(blocking))


def test_without_fused_multiply_add_a_chain_multiplies_and_adds():
    processor = machine.processor()._replace(has_fma=False)
    for m, n, k in ((5, 7, 40), (1, 9, 33), (33, 18, 9)):
        a, b = matrices(m, n, k)
        total = np.zeros((m, n), np.float32)
        for p in range(k):
            total += a[:, p, None] * b[p]
        np.testing.assert_array_equal(product(a, b, processor=processor), total)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("has_blocks", [False, True])
def test_alpha_and_beta_come_in_at_the_end(dtype, has_blocks):
    a, b = matrices(11, 19, 100, dtype)
    blocking = Blocking(6, 2, 30, 6, True, True) if has_blocks else None
    plain = product(a, b)
    c = np.arange(11 * 19).reshape(11, 19).astype(dtype) / 7
    alpha, beta = dtype(-0.3), dtype(0.7)
    found = c.copy()
    run(a, b, found, alpha, blocking=blocking)
    np.testing.assert_array_equal(found, plain * alpha)
    found = c.copy()
    run(a, b, found, alpha, beta, blocking=blocking)
    np.testing.assert_array_equal(found, c * beta + plain * alpha)


def test_a_result_may_lie_in_a_larger_array():
    a, b = matrices(9, 21, 30)
    for order in "CF":
        larger = np.full((13, 30), 5.0, np.float32, order)
        run(a, b, larger[2:11, 4:25])
        np.testing.assert_array_equal(larger[2:11, 4:25], product(a, b))
        larger[2:11, 4:25] = 5
        assert (larger == 5).all()


@pytest.mark.parametrize("blocked", [False, True])
def test_what_is_not_finite_goes_on_as_in_numpy(blocked):
    a, b = matrices(8, 20, 16)
    a[2, 3], a[5, 0], b[7, 11], b[0, 2] = np.nan, np.inf, -np.inf, 0
    c = np.ones((8, 20), np.float32)
    c[7, 19] = np.nan
    blocking = Blocking(3, 1, 5, 3, True, True) if blocked else None
    with np.errstate(all="ignore"):
        for alpha, beta in ((1.0, None), (0.0, None), (0.0, 0.0), (2.0, 1.0)):
            expected = np.float32(alpha) * (a @ b)
            if beta is not None:
                expected = np.float32(beta) * c + expected
            found = c.copy()
            run(a, b, found, alpha, beta, blocking=blocking)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_nothing_to_add_up_is_zero():
    c = np.full((3, 5), np.nan, np.float32)
    run(np.empty((3, 0), np.float32), np.empty((0, 5), np.float32), c)
    assert (c == 0).all()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((5,), (5, 9)),
        ((7, 5), (5,)),
        ((5,), (5,)),
        ((3, 7, 5), (5, 9)),
        ((3, 7, 5), (3, 5, 9)),
        ((3, 1, 5), (5,)),
        ((5,), (2, 3, 5, 4)),
        ((7, 5), (2, 3, 5, 4)),
        ((2, 1, 7, 5), (3, 5, 4)),
        ((2, 1, 3, 4, 5), (6, 1, 5, 2)),
    ],
)
def test_vectors_and_stacks(left, right):
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in (left, right))
    np.testing.assert_allclose(product(a, b), np.matmul(a, b), rtol=1e-4, atol=1e-5)
    rank = max(len(left), len(right))
    if min(len(left), len(right)) > 1 and rank > 2:  # lying the other way round in memory
        turned = [x.swapaxes(-1, -2).copy().swapaxes(-1, -2) for x in (a, b)]
        np.testing.assert_array_equal(product(*turned), product(a, b))


def test_a_stack_of_too_many_axes_is_left_to_others():
    axes = (2, 1, 2, 1, 2, 1, 2)
    a = np.ones((*axes, 3, 4), np.float32)
    b = np.ones((*axes[::-1], 4, 3), np.float32)
    c = np.ones((2, 1, 2, 1, 2, 1, 2, 3, 3), np.float32)
    strided = np.broadcast_to(b[:, :, :, :1], (2, 1, 2, 1, 2, 1, 2, 4, 3))
    assert plan_product(region(a), region(strided), region(c), machine.processor()) is not None
    b = np.ones((2, 1, 1, 2, 1, 2, 4, 3), np.float32)
    a = np.ones((2, 1, 2, 2, 1, 2, 1, 3, 4), np.float32)
    c = np.ones((2, 2, 2, 2, 2, 2, 2, 3, 3), np.float32)
    assert plan_product(region(a), region(b), region(c), machine.processor()) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [33, 48, 1000, 1003])
def test_two_vectors_are_summed_in_sixteen_chains(k, dtype):
    rng = np.random.default_rng(k)
    a, b = rng.integers(-4, 5, (2, k)).astype(dtype)  # exact, in any order
    assert isinstance(
        plan_product(region(a), region(b), region(np.zeros((), dtype)), machine.processor()),
        DotPlan,
    )
    for left, right in ((a, b), (a[::-1], b), (a[::2], b[1::2][: len(a[::2])])):
        length = min(len(left), len(right))
        left, right = left[:length], right[:length]
        assert product(left, right) == left @ right
        c = np.array(3.0, dtype)
        run(left, right, c, 2.0, -1.0)
        assert c == 2 * (left @ right) - 3
    x, y = rng.standard_normal((2, k)).astype(dtype)
    apart = np.repeat(x, 3)[::3]
    assert product(x, y) == product(apart, y)
    assert np.isclose(product(x, y), x.astype(float) @ y.astype(float), rtol=1e-4, atol=1e-4)


@has_fma
def test_the_sixteen_chains_are_added_up_by_halves():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, 1000)).astype(np.float32)
    padded = [np.append(v, np.zeros(8, np.float32)).reshape(-1, 16) for v in (x, y)]
    total = np.array(
        [chain(padded[0].T[i : i + 1], padded[1][:, i : i + 1])[0, 0] for i in range(16)]
    )
    while len(total) > 1:
        total = total[: len(total) // 2] + total[len(total) // 2 :]
    assert product(x, y) == total[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("k", [33, 64, 127, 1003])
def test_squares_that_are_only_measured_are_all_there(k, step, dtype):
    x = np.random.default_rng(k).integers(-4, 5, k * step).astype(dtype)[::step]  # exact
    c = np.zeros((), dtype)
    plan = plan_product(region(x), region(x), region(c), machine.processor())
    for spoiled in (None, 0, k // 2, k - 1):
        if spoiled is not None:
            x[spoiled] = np.inf
        run_plan(plan._replace(is_measured=True), {"a": x, "b": x, "c": c})
        assert c == x @ x


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_kernels_are_assembled_for_64_bit_arm(dtype):
    """With its own multiply-add of vectors; nobody has run them."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this llvmlite compiles for its own processor only")
    arm = describe("generic", {}, "aarch64-unknown-linux-gnu")
    machine_of_arm = target.create_target_machine(cpu="generic", opt=2)
    lanes = arm.nbytes // (4 if dtype == "f32" else 8)
    for is_edge in (False, True):
        shape = TileShape(dtype, lanes, 8, 3, is_edge, is_edge, arm.has_fma)
        module = llvm.parse_assembly(print_micro_kernel(shape))
        assembly = machine_of_arm.emit_assembly(module)
        suffix = "4s" if dtype == "f32" else "2d"
        chains = [x for x in assembly.splitlines() if "\tfmla\t" in x and f".{suffix}" in x]
        assert len(chains) == 24
        assert "bl\tfma" not in assembly
    texts = [
        print_driver(),
        *(print_pack_panels(dtype, lanes, 3, o) for o in (BY_ROWS, BY_COLUMNS)),
    ]
    runs = (calling.RUN, sharing.worker_text("aarch64"), calling.series_text())
    runs += (sharing.shared_run_text(calling.series_text(), "aarch64"),)
    texts += (in_usual_mode(run, "aarch64-unknown-linux-gnu") for run in runs)
    texts.append(sharing.shared_step_text("aarch64"))
    a, b, c = (np.empty((64, 64), "f4" if dtype == "f32" else "f8") for _ in "abc")
    for right in (b, b.T):
        plan = plan_product(region(a), region(right), region(c), arm)
        texts.append(print_fitted(plan.fitted, adds=True))
    for text in texts:
        assert "run:" in machine_of_arm.emit_assembly(llvm.parse_assembly(text))


@has_fma
@pytest.mark.parametrize("width", WIDTHS)
def test_a_product_whose_factors_stay_near_is_one_function_for_its_shape(width):
    for m, n, k in ((32, 64, 64), (7, 144, 33), (2, 80, 5), (97, 112, 70)):
        a, b = matrices(m, n, k)
        expected = chain(a, b)
        for a_laid, b_laid in itertools.product(("by rows", "by columns"), repeat=2):
            left, right = laid(a, a_laid), laid(b, b_laid)
            plan = plan_product(region(left), region(right), region(expected), WIDTHS[width])
            is_read_in_pieces = b_laid == "by columns" and k < 16 < n * k
            assert is_read_in_pieces or plan.fitted
            found = product(left, right, processor=WIDTHS[width])
            np.testing.assert_array_equal(found, expected, err_msg=f"{m, n, k}")


def test_a_product_whose_factors_are_far_is_made_by_parts_that_others_share():
    processor = WIDTHS["avx512"]
    for m, n, k in ((512, 1024, 784), (64, 64, 4096), (4096, 1024, 16)):
        a, b, c = (np.empty(shape, np.float32) for shape in ((m, k), (k, n), (m, n)))
        assert not plan_product(region(a), region(b), region(c), processor).fitted


def test_how_many_rows_there_are_is_in_no_text():
    def text(m):
        a, b, c = (np.empty(shape, np.float32) for shape in ((m, 64), (64, 64), (m, 64)))
        plan = plan_product(region(a), region(b), region(c), WIDTHS["avx512"])
        return compile_product(plan, lambda text: 0, adds=False).text

    assert text(32) == text(256)


SMALL = [(16, 16, 4), (16, 4, 16), (1, 3, 7), (29, 27, 5), (33, 64, 9), (5, 1, 16), (2, 17, 1)]
SMALL += [(9, 40, 33)]  # squares, a cut vector of them, and a row more


@has_fma
@pytest.mark.breadth("how")
@pytest.mark.parametrize("how", sorted(WIDTHS))
@pytest.mark.parametrize("is_turned", [False, True], ids=["", "of transposes"])
@pytest.mark.parametrize(("m", "n", "k"), SMALL)
def test_a_stack_of_small_products_has_the_chains_of_each(m, n, k, is_turned, how):
    rng = np.random.default_rng(m)
    a = rng.standard_normal((2, m, 3, k)).astype("f4").transpose(0, 2, 1, 3)
    b = rng.standard_normal((2, 3, k, n)).astype("f4")
    if is_turned:
        a, b = (np.ascontiguousarray(x.swapaxes(2, 3)).swapaxes(2, 3) for x in (a, b))
    c, before = (np.full((2, 3, m, n), start, "f4") for start in (np.nan, 2))
    run(a, b, c, processor=WIDTHS[how])
    run(a, b, before, alpha=0.5, beta=-3.0, processor=WIDTHS[how])
    if n > 1 and not is_turned and (how == "avx512" or (n < 33 and how == "avx2")):
        assert plan_product(region(a), region(b), region(c), WIDTHS[how]).fitted
    for index in np.ndindex(2, 3):
        exact = chain(a[index], b[index])
        np.testing.assert_array_equal(c[index], exact)
        np.testing.assert_array_equal(before[index], np.float32(-6) + exact * np.float32(0.5))
