"""Products through BLAS, and through `np.matmul` in its place: the same numbers, the same refusals.

All numbers here are small and whole, so that every product is exact and is compared exactly.
"""

import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniflow.backends import blas

needs_library = pytest.mark.skipif(blas.find() is None, reason="NumPy carries no OpenBLAS here")
both_ways = pytest.mark.parametrize(
    "library",
    [pytest.param(blas.find(), marks=needs_library, id="blas"), pytest.param(None, id="matmul")],
)


def whole_numbers(shape: tuple[int, int], dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def laid_out(matrix: np.ndarray, layout: str) -> np.ndarray:
    """The same matrix, lying otherwise; what lies between its elements is NaN."""
    rows, columns = matrix.shape
    if layout.startswith("by columns"):
        return laid_out(matrix.T, layout.replace("by columns", "by rows")).T
    if layout == "by rows":
        return np.ascontiguousarray(matrix)
    if layout == "by rows, part of wider ones":
        view = np.full((rows, columns + 5), np.nan, matrix.dtype)[:, 2 : columns + 2]
    else:
        view = np.full((2 * rows, columns), np.nan, matrix.dtype)[::2]
    view[...] = matrix
    return view


LAYOUTS = [
    f"by {lines}{rest}"
    for lines in ("rows", "columns")
    for rest in ("", ", part of wider ones", ", every second one")
]


# ------------------------------------------------------------------------------------ the products


@both_ways
@settings(deadline=None, max_examples=150)
@given(
    sizes=st.tuples(*[st.sampled_from([0, 1, 2, 3, 4, 7, 17])] * 3),
    layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 3),
    transposed=st.tuples(st.booleans(), st.booleans()),
    alpha=st.sampled_from([1.0, -1.0, 0.5, -3.0, 0.0]),
    beta=st.sampled_from([0.0, 1.0, -2.0, 0.25]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_shape_layout_and_scale_gives_what_numpy_gives(
    library: Any,
    sizes: Any,
    layouts: Any,
    transposed: Any,
    alpha: float,
    beta: float,
    dtype: str,
    seed: int,
) -> None:
    m, n, k = sizes
    trans_a, trans_b = transposed
    A, B = whole_numbers((m, k), dtype, seed), whole_numbers((k, n), dtype, seed + 1)
    a = laid_out(A.T if trans_a else A, layouts[0])
    b = laid_out(B.T if trans_b else B, layouts[1])
    before = np.full((m, n), np.nan, dtype) if beta == 0 else whole_numbers((m, n), dtype, seed + 2)
    out = laid_out(before, layouts[2])
    expected = alpha * (A @ B) + (0 if beta == 0 else beta * before)

    product = blas.product(
        a, b, out, alpha, beta, trans_a=trans_a, trans_b=trans_b, library=library
    )
    assert product.run() is None

    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(a.T if trans_a else a, A)
    np.testing.assert_array_equal(b.T if trans_b else b, B)


@both_ways
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (3, 1)])
def test_only_out_is_written_and_not_what_lies_between_its_rows(
    library: Any, layout: str, shape: tuple[int, int]
) -> None:
    out = laid_out(np.zeros(shape, "float32"), layout)
    around = out
    while around.base is not None:
        around = around.base
    beside = np.isnan(around).sum()
    blas.product(
        np.ones((shape[0], 5), "f4"), np.ones((5, shape[1]), "f4"), out, library=library
    ).run()
    assert (out == 5).all()
    assert np.isnan(around).sum() == beside


@needs_library
@pytest.mark.parametrize(
    ("m", "n", "k", "routine"),
    [
        (3, 4, 5, "sgemm"),
        (1, 4, 5, "sgemv"),
        (3, 1, 5, "sgemv"),
        (3, 4, 1, "sgemm"),
        (3, 1, 0, "sgemm"),
    ],
)
def test_a_vector_is_multiplied_by_gemv_where_gemv_heeds_beta(
    m: int, n: int, k: int, routine: str
) -> None:
    a, b, out = (np.zeros(shape, "f4") for shape in [(m, k), (k, n), (m, n)])
    assert blas.product(a, b, out, library=blas.find()).routine == routine
    a, b, out = (x.astype("f8") for x in (a, b, out))
    assert blas.product(a, b, out, library=blas.find()).routine == routine.replace("s", "d")


@both_ways
def test_alpha_and_beta_can_change_between_runs(library: Any) -> None:
    a, b, out = np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 2))
    product = blas.product(a, b, out, alpha=-1.0, beta=1.0, library=library)
    product.run()
    assert (out == -2).all()
    product.alpha.value, product.beta.value = np.float32(0.5), 2
    product.run()
    assert (out == -2.5).all()


@both_ways
def test_products_that_use_several_threads_give_the_same_numbers(library: Any) -> None:
    a, b = whole_numbers((200, 150)), whole_numbers((150, 190), seed=1)
    out = np.empty((200, 190), "float32")
    blas.product(a, b, out, library=library).run()
    np.testing.assert_array_equal(out, a.astype(int) @ b.astype(int))


@both_ways
def test_an_update_in_place_allocates_nothing(library: Any) -> None:
    X, G, W = np.ones((64, 300), "f4"), np.ones((64, 100), "f4"), np.ones((300, 100), "f4")
    update = blas.product(X, G, W, -0.5, 1.0, trans_a=True, library=library)
    update.run()
    tracemalloc.start()
    try:
        update.run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000 < W.nbytes


# -------------------------------------------------------------------------------- moving operands


@both_ways
def test_an_operand_that_moves_takes_all_its_products_along(library: Any) -> None:
    x = blas.Operand(whole_numbers((4, 3)))
    w, g = whole_numbers((3, 2), seed=1), whole_numbers((4, 2), seed=2)
    z, dw = np.empty((4, 2), "f4"), np.empty((3, 2), "f4")
    forward = blas.product(x, w, z, library=library)
    backward = blas.product(x, g, dw, trans_a=True, library=library)
    for seed in (3, 4):
        batch = whole_numbers((4, 3), seed=seed)
        batch.flags.writeable = False
        x.move(batch)
        forward.run()
        backward.run()
        np.testing.assert_array_equal(z, batch @ w)
        np.testing.assert_array_equal(dw, batch.T @ g)


@both_ways
@pytest.mark.parametrize("n", [1, 2])
def test_out_can_move_so_that_every_result_is_the_callers_own(library: Any, n: int) -> None:
    a, b = whole_numbers((4, 3)), whole_numbers((3, n), seed=1)
    out = blas.Operand(np.empty((4, n), "f4"))
    product = blas.product(a, b, out, library=library)
    results = [np.empty((4, n), "f4") for _ in range(3)]
    for result in results:
        out.move(result)
        product.run()
    for result in results:
        np.testing.assert_array_equal(result, a @ b)


def test_an_operand_moves_only_to_an_array_laid_out_like_its_first() -> None:
    x = blas.Operand(np.zeros((4, 3), "f4"))
    with pytest.raises(
        ValueError, match=r"float32 of shape \(4, 3\), not float32 of shape \(5, 3\)"
    ):
        x.move(np.zeros((5, 3), "f4"))
    with pytest.raises(
        ValueError, match=r"float32 of shape \(4, 3\), not float64 of shape \(4, 3\)"
    ):
        x.move(np.zeros((4, 3), "f8"))
    with pytest.raises(ValueError, match=r"strides \(12, 4\), not \(4, 16\)"):
        x.move(np.zeros((3, 4), "f4").T)


@both_ways
def test_strides_along_an_axis_of_one_element_do_not_matter(library: Any) -> None:
    x = blas.Operand(np.zeros((1, 3), "f4"))
    out = np.empty((1, 2), "f4")
    product = blas.product(x, np.ones((3, 2), "f4"), out, library=library)
    wide = np.full((1, 8), 2, "f4")[:, :3]
    assert wide.strides != x.strides
    x.move(wide)
    product.run()
    assert out.tolist() == [[6, 6]]


@both_ways
def test_strides_of_an_array_of_no_elements_do_not_matter(library: Any) -> None:
    x = blas.Operand(np.zeros((2, 0), "f4"))
    out = np.ones((2, 2), "f4")
    product = blas.product(x, np.ones((0, 2), "f4"), out, library=library)
    x.move(np.zeros(0, "f4").reshape((0, 2)).T)
    product.run()
    assert out.tolist() == [[0, 0], [0, 0]]


def test_an_operand_keeps_its_array_alive_until_it_is_released() -> None:
    array = np.zeros((4, 3), "f4")
    alive = weakref.ref(array)
    x = blas.Operand(array)
    del array
    assert alive() is not None
    x.release()
    assert alive() is None


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_the_address_of_an_array_is_that_of_its_first_element(offset: int) -> None:
    array = np.zeros((6, 5))[offset:, 2:]
    assert blas.address_of(array) == array.ctypes.data


# --------------------------------------------------------------------------------------- refusals

ONES = {
    name: np.ones(shape, "f4") for name, shape in {"a": (2, 3), "b": (3, 4), "out": (2, 4)}.items()
}
READ_ONLY = np.ones((2, 4), "f4")
READ_ONLY.flags.writeable = False
UNALIGNED = np.zeros(2 * 3 * 4 + 1, "u1")[1:].view("f4").reshape(2, 3)


@both_ways
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"a": np.ones((2, 5), "f4")}, r"\(2, 5\) times \(3, 4\) does not go into out \(2, 4\)"),
        ({"out": np.ones((4, 2), "f4")}, r"\(2, 3\) times \(3, 4\) does not go into out \(4, 2\)"),
        ({"b": np.ones(3, "f4")}, r"b has shape \(3,\); a matrix has two axes"),
        ({"b": np.ones((3, 4))}, "a is float32, b is float64, out is float32; a product has one"),
        ({"a": np.ones((2, 3), "i8")}, "a is int64; a product takes float32 or float64"),
        ({"a": np.ones((2, 3), ">f4")}, "a is >f4; a product takes float32 or float64"),
        ({"a": np.ones((4, 6), "f4")[::2, ::2]}, r"a has .* strides \(48, 8\): neither .* a copy"),
        ({"a": np.ones((2, 3), "f4")[:, ::-1]}, r"a has .* strides \(12, -4\): neither .* a copy"),
        ({"b": np.broadcast_to(ONES["b"][:1], (3, 4))}, r"b has .* strides \(0, 4\): neither .* a"),
        ({"a": UNALIGNED}, "a is not aligned to its dtype in memory; use a copy"),
        ({"out": READ_ONLY}, "out is read-only"),
    ],
)
def test_what_does_not_fit_is_refused(library: Any, changed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        blas.product(**{**ONES, **changed}, library=library)


@both_ways
def test_out_must_not_share_memory_with_an_operand(library: Any) -> None:
    square = np.ones((4, 4), "f4")
    with pytest.raises(ValueError, match="out shares memory with b"):
        blas.product(np.ones((4, 4), "f4"), square, square.T, library=library)
    left, right = square[:, :2], square[:, 2:]  # Their rows alternate, but they share nothing.
    blas.product(left, np.ones((2, 2), "f4"), right, library=library).run()
    assert (right == 2).all()
    assert (left == 1).all()
