"""Matrix products through the OpenBLAS that NumPy itself carries: out ← α·A·B + β·out, in place.

`np.matmul` can neither scale a product nor add it to an array: `W ← W − lr·Xᵀ·G` needs a temporary
array there, and two more passes over memory. The routine `gemm` of BLAS does it in one call. This
file finds that routine and calls it:

* `find` looks, when first called, for the copy that NumPy has loaded into this process, and tries
  it on small products. It has to be that copy: another OpenBLAS would bring a second pool of
  threads, and the two pools get in each other's way. Where NumPy uses something else (Accelerate,
  MKL), or the trial fails, `find` gives None.
* `product` prepares one product of fixed shapes and strides. What ctypes has to convert is
  converted there, so that a `run()` costs less than a call of `np.matmul`. With `library=None` the
  same product is made with `np.matmul`.
* An `Operand` is an array whose place in memory changes from call to call, as a fed batch's does.

No operand is copied: rows or columns have to lie contiguously and at equal distances, as they do in
slices of rows and in transposed arrays. Anything else is the caller's to copy.

The interface: Blackford et al., "An Updated Set of Basic Linear Algebra Subprograms (BLAS)",
ACM Transactions on Mathematical Software 28(2), 2002, and the C interface (CBLAS) in its appendix.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.errors import MiniflowError

try:
    import ctypes
except ImportError:
    from miniflow.backends import no_ctypes as ctypes  # type: ignore[no-redef]

Array = NDArray[Any]
Scalar = ctypes.c_float | ctypes.c_double
Integer = type[ctypes.c_int64] | type[ctypes.c_int32]


# What a dtype is called in C, and the letter for it in the names of BLAS.
REALS: dict[np.dtype[Any], tuple[type[Scalar], str]] = {
    np.dtype(np.float32): (ctypes.c_float, "s"),
    np.dtype(np.float64): (ctypes.c_double, "d"),
}
ROUTINES = ("sgemm", "dgemm", "sgemv", "dgemv")

# The names in OpenBLAS carry a prefix and a suffix that depend on who built it.
PREFIXES, SUFFIXES = ("scipy_", ""), ("64_", "_64", "")

IS_CPYTHON = sys.implementation.name == "cpython" and hasattr(ctypes.c_void_p, "from_address")
SIZE_OF_HEADER = object.__basicsize__

# Values of CBLAS's enumerations.
BY_ROWS, BY_COLUMNS = 101, 102
AS_STORED, TRANSPOSED = 111, 112


@dataclass(frozen=True)
class Library:
    """The OpenBLAS of this process.

    `description` is what it says of itself (version, options, processor), `integer` the type of
    its sizes, `functions` holds the C functions under the names that they have without affixes.
    """

    description: str
    integer: Integer
    functions: Mapping[str, Any]

    def address(self, routine: str) -> int:
        """Where a routine (one of `ROUTINES`) lies in this process, for compiled code to call."""
        return ctypes.cast(self.functions[routine], ctypes.c_void_p).value or 0

    def get_threads(self) -> int:
        """How many threads a large product may use."""
        return int(self.functions["get_num_threads"]())

    def set_threads(self, count: int) -> None:
        """Let large products use `count` threads, in the whole process: NumPy's own as well."""
        if count < 1:
            raise ValueError(f"a product needs at least one thread; got {count}")
        self.functions["set_num_threads"](ctypes.c_int(count))


def find() -> Library | None:
    """The OpenBLAS that NumPy has loaded, or None where there is none that can be used.

    The environment variable MINIFLOW_BLAS, read at each call, can be "off", which gives None, or
    "auto", the default.

    >>> library = find()
    >>> library is None or library.get_threads() >= 1
    True
    """
    setting = os.environ.get("MINIFLOW_BLAS", "auto")
    if setting not in ("auto", "off"):
        raise MiniflowError(f"MINIFLOW_BLAS is {setting!r}; it can be 'auto' or 'off'.")
    return None if setting == "off" else _search()


@functools.cache
def _search() -> Library | None:
    """The first library that has all the names and multiplies correctly."""
    libraries = (open_library(handle) for handle in _loaded_by_numpy())
    return next((x for x in libraries if x is not None and multiplies_correctly(x)), None)


def _loaded_by_numpy() -> Iterator[ctypes.CDLL]:
    """Handles in which the names of NumPy's BLAS can be looked up. Nothing new is loaded."""
    if sys.platform == "win32":
        # A name is looked up in one DLL alone there, so the DLL has to be found first.
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetModuleHandleW.restype = ctypes.c_void_p
        for path in sorted(Path(np.__file__).parents[1].glob("numpy.libs/*openblas*.dll")):
            handle = kernel.GetModuleHandleW(ctypes.c_wchar_p(path.name))
            if handle:
                yield ctypes.CDLL(str(path), handle=handle)
    else:
        # A name looked up in NumPy's extension module is searched for in all that it links.
        try:
            core = importlib.import_module("numpy._core._multiarray_umath")
            yield ctypes.CDLL(core.__file__)
        except (ImportError, AttributeError, OSError):
            return


def open_library(handle: Any) -> Library | None:
    """The OpenBLAS behind a ctypes handle; None if one of its names is missing.

    The width of its integers is not tried out, which could crash: the suffix of the names tells it
    or, where they have none, the library's description of itself.
    """
    for prefix in PREFIXES:
        for suffix in SUFFIXES:
            try:
                describe = handle[f"{prefix}openblas_get_config{suffix}"]
                functions = {x: handle[f"{prefix}cblas_{x}{suffix}"] for x in ROUTINES}
                for x in ("get_num_threads", "set_num_threads"):
                    functions[x] = handle[f"{prefix}openblas_{x}{suffix}"]
            except AttributeError:
                continue
            describe.restype = ctypes.c_char_p
            for x in ROUTINES:
                functions[x].restype = None
            description = describe().decode(errors="replace").strip()
            wide = "64" in suffix or "USE64BITINT" in description
            return Library(description, ctypes.c_int64 if wide else ctypes.c_int32, functions)
    return None


def multiplies_correctly(library: Library) -> bool:
    """Whether the library's products of small whole numbers, which are exact, equal NumPy's.

    Every routine is tried with α and β, with operands that lie by rows and by columns, and with an
    `out` full of NaN that β = 0 has to discard.
    """
    for dtype in REALS:
        for m, n, k in ((3, 5, 4), (3, 1, 4), (1, 5, 4)):
            a = np.arange(m * k).reshape(m, k).astype(dtype) - 4
            b = np.arange(k * n).reshape(k, n).astype(dtype) % 7 - 2
            for left in (a, np.asfortranarray(a)):
                for right in (b, np.asfortranarray(b)):
                    added, fresh = np.ones((m, n), dtype), np.full((m, n), np.nan, dtype)
                    product(left, right, added, 2.0, -3.0, library=library).run()
                    product(left, right, fresh, library=library).run()
                    if (added != 2 * (a @ b) - 3).any() or (fresh != a @ b).any():
                        return False
    return True


def address_of(array: Array) -> int:
    """Where the first element of an array lies.

    In CPython, the pointer to the elements follows the object's header (NumPy's C interface fixes
    that). To read it there takes a fifth of the time of `array.ctypes.data`.
    """
    if not IS_CPYTHON:
        return int(array.ctypes.data)
    return ctypes.c_void_p.from_address(id(array) + SIZE_OF_HEADER).value or 0


class Operand:
    """An array in products, to be replaced by others of the same shape, dtype and strides.

    One operand can serve several products, as it is in one and transposed in another.
    """

    __slots__ = ("array", "dtype", "pointer", "shape", "strides")

    def __init__(self, array: Array) -> None:
        self.array: Array | None = array
        self.shape, self.strides, self.dtype = array.shape, array.strides, array.dtype
        self.pointer = ctypes.c_void_p(address_of(array))

    def move(self, array: Array) -> None:
        """Let the products of this operand use `array` from now on, and keep it alive.

        Raises ValueError unless it is laid out as the first array was. For the caller to know: it
        is aligned, shares no memory with other operands and, if it is an `out`, can be written.
        """
        if array.shape != self.shape or array.dtype != self.dtype:
            seen = f"{array.dtype} of shape {array.shape}"
            raise ValueError(f"this operand is {self.dtype} of shape {self.shape}, not {seen}")
        if array.strides != self.strides and not self._is_same_layout(array.strides):
            raise ValueError(f"this operand has strides {self.strides}, not {array.strides}")
        self.array = array
        self.pointer.value = address_of(array)

    def release(self) -> None:
        """Keep the array alive no longer; no product of this operand may run before `move`."""
        self.array = None

    def _is_same_layout(self, strides: tuple[int, ...]) -> bool:
        """Whether strides differ only where they mean nothing: along axes of one element, and in
        arrays of none.
        """
        pairs = zip(self.shape, self.strides, strides, strict=True)
        return 0 in self.shape or all(size == 1 or mine == other for size, mine, other in pairs)


class PreparedProduct(NamedTuple):
    """A prepared product: `run()` computes out ← α·A·B + β·out.

    α and β are `alpha.value` and `beta.value`, and may be set between runs. `routine` names what
    does the work: "matmul", or one of `ROUTINES`.
    """

    run: Callable[[], None]
    alpha: Scalar
    beta: Scalar
    routine: str


def product(
    a: Array | Operand,
    b: Array | Operand,
    out: Array | Operand,
    alpha: float = 1.0,
    beta: float = 0.0,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    library: Library | None,
) -> PreparedProduct:
    """Prepare out ← α·A·B + β·out; A (m, k) is `a` or its transpose, B (k, n) is `b` or its own.

    The arrays are float32, or all float64, and `out` (m, n) shares no memory with the others. With
    β = 0, what was in `out` is discarded, NaN too. With α = 0, BLAS does not look at A and B, and
    NaN in them is lost. `library` is what `find()` gave; without one, `np.matmul` does the work,
    and needs an array of the size of `out` once β is not zero.

    Raises ValueError if shapes or dtypes do not fit, if BLAS cannot read the strides, and if `out`
    is read-only or shares memory with an operand.

    >>> X, G, W = np.ones((4, 3)), np.ones((4, 2)), np.ones((3, 2))
    >>> update = product(X, G, W, alpha=-0.25, beta=1.0, trans_a=True, library=find())
    >>> update.run()
    >>> W.tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    left, right, result = _matrix("a", a, trans_a), _matrix("b", b, trans_b), _matrix("out", out)
    _check(left, right, result)
    scalar, letter = REALS[result.operand.dtype]
    terms = _Terms(left, right, result, scalar(alpha), scalar(beta))
    if library is None or not terms.countable_in(library.integer):
        return PreparedProduct(_with_matmul(terms), terms.alpha, terms.beta, "matmul")
    # OpenBLAS's gemm is up to four times as slow as its gemv where a vector takes part. But gemv
    # leaves `out` as it was if k = 0, and β has to scale it even then.
    with_vector = 1 in result.shape and 0 not in (*left.shape, *right.shape)
    routine = letter + ("gemv" if with_vector else "gemm")
    arguments = (_gemv_arguments if with_vector else _gemm_arguments)(terms, library.integer)
    run = functools.partial(library.functions[routine], *arguments)
    return PreparedProduct(run, terms.alpha, terms.beta, routine)


class _Matrix(NamedTuple):
    """An operand as it enters a product, transposed or not.

    It lies by rows or by columns, and these begin `leading` elements apart.
    """

    role: str
    operand: Operand
    transposed: bool
    shape: tuple[int, ...]
    by_rows: bool
    leading: int

    @property
    def array(self) -> Array:
        array = self.operand.array
        assert array is not None, f"{self.role} was released, and nothing moved in its place"
        return array.T if self.transposed else array

    def step_along(self, axis: int) -> int:
        """The distance between the elements of a vector that lies along `axis`."""
        return self.leading if self.by_rows == (axis == 0) else 1


def _matrix(role: str, array: Array | Operand, transposed: bool = False) -> _Matrix:
    operand = array if isinstance(array, Operand) else Operand(array)
    if operand.dtype not in REALS:
        raise ValueError(f"{role} is {operand.dtype}; a product takes float32 or float64")
    if len(operand.shape) != 2:
        raise ValueError(f"{role} has shape {operand.shape}; a matrix has two axes")
    order = slice(None, None, -1 if transposed else 1)
    shape, strides, itemsize = operand.shape[order], operand.strides[order], operand.dtype.itemsize
    for by_rows in (True, False):
        outer, inner = (0, 1) if by_rows else (1, 0)
        contiguous = shape[inner] <= 1 or strides[inner] == itemsize
        leading, rest = divmod(strides[outer], itemsize)
        if shape[outer] <= 1 or shape[inner] == 0:  # Nothing to step over.
            leading, rest = max(shape[inner], 1), 0
        if contiguous and rest == 0 and leading >= max(shape[inner], 1):
            return _Matrix(role, operand, transposed, shape, by_rows, leading)
    raise ValueError(
        f"{role} has shape {operand.shape} and strides {operand.strides}: neither its rows nor its "
        "columns lie contiguously and at equal distances; use a copy"
    )


class _Terms(NamedTuple):
    """The terms of out ← α·A·B + β·out."""

    left: _Matrix
    right: _Matrix
    result: _Matrix
    alpha: Scalar
    beta: Scalar

    def countable_in(self, integer: Integer) -> bool:
        """Whether the library's integers can hold every size."""
        largest = max(max(*x.shape, x.leading) for x in (self.left, self.right, self.result))
        return bool(largest < 2 ** (8 * ctypes.sizeof(integer) - 1))


def _check(left: _Matrix, right: _Matrix, result: _Matrix) -> None:
    """Raise ValueError unless left (m, k) times right (k, n) can be written to result (m, n)."""
    if left.shape[1] != right.shape[0] or result.shape != (left.shape[0], right.shape[1]):
        raise ValueError(f"{left.shape} times {right.shape} does not go into out {result.shape}")
    if not left.operand.dtype == right.operand.dtype == result.operand.dtype:
        seen = ", ".join(f"{x.role} is {x.operand.dtype}" for x in (left, right, result))
        raise ValueError(f"{seen}; a product has one dtype")
    if not result.array.flags.writeable:
        raise ValueError("out is read-only")
    for matrix in (left, right, result):
        if not matrix.array.flags.aligned:
            raise ValueError(f"{matrix.role} is not aligned to its dtype in memory; use a copy")
        if matrix is not result and np.shares_memory(matrix.array, result.array):
            raise ValueError(f"out shares memory with {matrix.role}")


# `from_param` converts a constant once and for all. Pointers, α and β stay objects of ctypes, whose
# present values are read at each call.


def _gemm_arguments(terms: _Terms, integer: Integer) -> tuple[Any, ...]:
    """cblas_?gemm(order, transA, transB, m, n, k, α, A, lda, B, ldb, β, C, ldc)."""
    left, right, result, alpha, beta = terms
    by_rows = result.by_rows
    enums = [BY_ROWS if by_rows else BY_COLUMNS]
    enums += [AS_STORED if x.by_rows == by_rows else TRANSPOSED for x in (left, right)]
    sizes = (left.shape[0], right.shape[1], left.shape[1])
    a, b, c = (x.operand.pointer for x in (left, right, result))
    lda, ldb, ldc = (integer.from_param(x.leading) for x in (left, right, result))
    return (
        *map(ctypes.c_int.from_param, enums),
        *map(integer.from_param, sizes),
        *(alpha, a, lda, b, ldb, beta, c, ldc),
    )


def _gemv_arguments(terms: _Terms, integer: Integer) -> tuple[Any, ...]:
    """cblas_?gemv(order, trans, m, n, α, A, lda, x, incx, β, y, incy) for y ← α·A·x + β·y.

    Where A is the row, the product is read as outᵀ = Bᵀ·Aᵀ: the matrix is B, transposed.
    """
    left, right, result, alpha, beta = terms
    into_column = result.shape[1] == 1
    matrix, vector, axis = (left, right, 0) if into_column else (right, left, 1)
    enums = (BY_ROWS if matrix.by_rows else BY_COLUMNS, AS_STORED if into_column else TRANSPOSED)
    a, x, y = (x.operand.pointer for x in (matrix, vector, result))
    steps = (matrix.leading, vector.step_along(axis), result.step_along(axis))
    lda, incx, incy = map(integer.from_param, steps)
    return (
        *map(ctypes.c_int.from_param, enums),
        *map(integer.from_param, matrix.shape),
        *(alpha, a, lda, x, incx, beta, y, incy),
    )


def _with_matmul(terms: _Terms) -> Callable[[], None]:
    """The same product in plain NumPy."""
    left, right, result, alpha, beta = terms
    spare: list[Array] = []

    def run() -> None:
        out = result.array
        if beta.value == 0:
            np.matmul(left.array, right.array, out=out)
            if alpha.value != 1:
                out *= alpha.value
            return
        if not spare:
            spare.append(np.empty_like(out))
        np.matmul(left.array, right.array, out=spare[0])
        spare[0] *= alpha.value
        out *= beta.value
        out += spare[0]

    return run
