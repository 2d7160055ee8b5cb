"""Products through BLAS, and through `np.matmul` in its place: the same numbers, the same refusals.

All numbers here are small and whole, so that every product is exact and is compared exactly.
"""

import ctypes
import dataclasses
import os
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from miniflow.backends import blas
from miniflow.errors import MiniflowError

needs_library = pytest.mark.skipif(blas.find() is None, reason="NumPy carries no OpenBLAS here")
both_ways = pytest.mark.parametrize(
    "library",
    [pytest.param(blas.find(), marks=needs_library, id="blas"), pytest.param(None, id="matmul")],
)


@pytest.fixture
def search_again() -> Iterator[None]:
    """Let `find` search anew in this test, and in the ones after it."""
    blas._search.cache_clear()
    yield
    blas._search.cache_clear()


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


# ------------------------------------------------------------------------------ finding the library


def test_the_environment_can_switch_the_library_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIFLOW_BLAS", raising=False)
    found = blas.find()
    monkeypatch.setenv("MINIFLOW_BLAS", "off")
    assert blas.find() is None
    monkeypatch.setenv("MINIFLOW_BLAS", "auto")
    assert blas.find() is found
    monkeypatch.setenv("MINIFLOW_BLAS", "of")
    with pytest.raises(MiniflowError, match="MINIFLOW_BLAS is 'of'; it can be 'auto' or 'off'"):
        blas.find()


def test_the_openblas_of_a_numpy_wheel_is_found_and_multiplies_correctly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if built_with != "scipy-openblas":
        pytest.skip(f"NumPy was built with {built_with} here")
    monkeypatch.delenv("MINIFLOW_BLAS", raising=False)
    assert blas.find() is not None


class FakeHandle(dict[str, Any]):
    """Stands in for a library whose functions have these affixes and do nothing."""

    def __init__(self, prefix: str, suffix: str, description: str) -> None:
        self[f"{prefix}openblas_get_config{suffix}"] = lambda: description.encode()
        for name in blas.ROUTINES:
            self[f"{prefix}cblas_{name}{suffix}"] = lambda *arguments: None
        for name in ("get_num_threads", "set_num_threads"):
            self[f"{prefix}openblas_{name}{suffix}"] = lambda *arguments: 1

    def __missing__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("prefix", "suffix", "description", "integer"),
    [
        ("scipy_", "64_", "OpenBLAS 0.3.31 USE64BITINT", ctypes.c_int64),
        ("", "64_", "OpenBLAS 0.3.21", ctypes.c_int64),
        ("", "_64", "OpenBLAS 0.3.21", ctypes.c_int64),
        ("scipy_", "", "OpenBLAS 0.3.31", ctypes.c_int32),
        ("", "", "OpenBLAS 0.3.26 NO_LAPACKE DYNAMIC_ARCH", ctypes.c_int32),
        ("", "", "OpenBLAS 0.3.26 USE64BITINT DYNAMIC_ARCH", ctypes.c_int64),
    ],
)
def test_names_and_description_tell_how_wide_the_integers_are(
    prefix: str, suffix: str, description: str, integer: Any
) -> None:
    library = blas.open_library(FakeHandle(prefix, suffix, description))
    assert library is not None
    assert library.integer is integer
    assert library.description == description
    assert library.get_threads() == 1


@pytest.mark.parametrize("missing", ["scipy_cblas_dgemv64_", "scipy_openblas_get_config64_"])
def test_a_library_that_lacks_a_name_is_not_used(missing: str) -> None:
    handle = FakeHandle("scipy_", "64_", "OpenBLAS")
    del handle[missing]
    assert blas.open_library(handle) is None


@pytest.mark.usefixtures("search_again")
def test_a_library_that_multiplies_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = FakeHandle("scipy_", "64_", "OpenBLAS")
    monkeypatch.setattr(blas, "_loaded_by_numpy", lambda: iter([handle]))
    assert blas.open_library(handle) is not None
    assert blas.find() is None


@needs_library
@pytest.mark.parametrize("routine", blas.ROUTINES)
def test_one_wrong_routine_is_enough_to_fail_the_trial(routine: str) -> None:
    library = blas.find()
    assert library is not None
    assert blas.multiplies_correctly(library)
    functions = {**library.functions, routine: lambda *arguments: None}
    assert not blas.multiplies_correctly(dataclasses.replace(library, functions=functions))


@pytest.mark.usefixtures("search_again")
def test_where_numpy_has_loaded_no_openblas_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blas, "_loaded_by_numpy", lambda: iter(()))
    assert blas.find() is None


@needs_library
def test_sizes_beyond_the_librarys_integers_are_left_to_matmul() -> None:
    library = blas.find()
    assert library is not None
    narrow = dataclasses.replace(library, integer=ctypes.c_int32)
    far_apart = as_strided(np.ones((2, 1), "f4"), (2, 1), (4 * 2**31, 4))
    b, out = np.ones((1, 2), "f4"), np.ones((2, 2), "f4")
    assert blas.product(far_apart, b, out, library=narrow).routine == "matmul"


@needs_library
def test_compiled_code_can_call_a_routine_at_its_address() -> None:
    library = blas.find()
    assert library is not None
    size, real, pointer = library.integer, ctypes.c_double, ctypes.c_void_p
    enums, sizes = [ctypes.c_int] * 3, [size] * 3
    scaled = [real, pointer, size, pointer, size, real, pointer, size]
    dgemm = ctypes.CFUNCTYPE(None, *enums, *sizes, *scaled)(library.address("dgemm"))
    a, b, out = np.full((2, 3), 2.0), np.ones((3, 4)), np.empty((2, 4))
    dgemm(101, 111, 111, 2, 4, 3, 1.0, a.ctypes.data, 3, b.ctypes.data, 4, 0.0, out.ctypes.data, 4)
    assert (out == 6).all()


@needs_library
def test_the_number_of_threads_can_be_set_and_is_at_least_one() -> None:
    library = blas.find()
    assert library is not None
    before = library.get_threads()
    try:
        for count in (1, 2):
            library.set_threads(count)
            assert library.get_threads() == count
        with pytest.raises(ValueError, match="at least one thread; got 0"):
            library.set_threads(0)
    finally:
        library.set_threads(before)


def run_python(code: str) -> str:
    """What a fresh Python prints when it runs `code`."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_library
@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc/self/maps")
def test_the_library_is_the_copy_that_numpy_has_loaded_and_import_looks_for_nothing() -> None:
    code = """
from miniflow.backends import blas
def maps():
    with open("/proc/self/maps") as file:
        return {line.split()[-1] for line in file if ".so" in line}
before, searches = maps(), blas._search.cache_info().misses
assert blas.find() is not None
print(searches, sorted(maps() - before))
"""
    assert run_python(code) == "0 []"


@needs_library
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_products_work_in_the_child_after_a_fork() -> None:
    code = """
import os
import numpy as np
from miniflow.backends import blas
a, b, out = np.ones((100, 90)), np.ones((90, 110)), np.zeros((100, 110))  # Threads at work.
product = blas.product(a, b, out, library=blas.find())
product.run()
child = os.fork()
if child == 0:
    out[...] = 0
    product.run()
    os._exit(0 if (out == 90).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
product.run()
assert (out == 90).all()
"""
    assert run_python(code) == "0"
