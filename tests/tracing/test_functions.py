"""What NumPy's functions, methods and operators mean to a recording: the same as to an array."""

import numpy as np
import pytest

from miniflow.ir import evaluate
from miniflow.tracing.trace import Refused
from tracing.recorded import assert_same_when_recorded, record

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
Y = RNG.normal(size=(3, 5)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1])


def in_place(a):
    """What is left of an array when another one that was made of it has changed."""
    b = np.clip(a, None, None)
    b += 1
    return a, b


FUNCTIONS = {
    "operators": lambda x: (x + 1, 2 - x, x * x, 1 / x, x**2, x // 0.3, x % 0.7, -x, +x, abs(x)),
    "comparisons": lambda x: (
        x < 0,
        x <= x,
        x > 1,
        x >= 0,
        x == x,
        x != 0,
        (x > 0) & (x < 1),
        ~(x > 0),
    ),
    "ufuncs": lambda x: (
        np.exp(x),
        np.tanh(x),
        np.square(x),
        np.sign(x),
        np.reciprocal(x),
        np.log1p(x * x),
    ),
    "more ufuncs": lambda x: (
        np.logaddexp(x, 0.0),
        np.hypot(x, 1.0),
        np.sinh(x),
        np.exp2(x),
        np.log2(x * x),
    ),
    "hyperbolic functions near their ends": lambda x: (
        np.sinh(710.2 * np.sign(x)),
        np.cosh(710.2 * np.sign(x)),
        np.sinh(x * 1e4),
        np.sinh(x * 1e-9),
    ),
    "isinf, trunc": lambda x: (np.isinf(x), np.trunc(x * 3), np.heaviside(x, 0.5), np.fmax(x, 0.0)),
    "reductions": lambda x: (
        np.sum(x),
        x.mean(),
        x.std(axis=0),
        np.var(x, axis=1, ddof=1),
        x.max(axis=1),
    ),
    "more reductions": lambda x: (
        np.prod(x, axis=0),
        np.ptp(x),
        np.any(x > 9),
        np.all(x < 9),
        np.cumsum(x, 1),
    ),
    "argmax": lambda x: (np.argmax(x, axis=1), x.argmin(), np.argmax(x, axis=0, keepdims=True)),
    "argmax of everything": lambda x: (
        np.argmax(x, keepdims=True),
        x[None].argmin(keepdims=True),
        np.argmax(x[0, 0], keepdims=True),
    ),
    "keepdims": lambda x: (
        np.sum(x, axis=1, keepdims=True),
        np.max(x, keepdims=True),
        x.mean((0, 1)),
    ),
    "average": lambda x: (np.average(x), np.average(x, axis=0, weights=[1, 2, 3, 4])),
    "ufunc methods": lambda x: (
        np.add.reduce(x),
        np.maximum.reduce(x, axis=1),
        np.multiply.outer(x[0], x[1]),
    ),
    "norm": lambda x: (np.linalg.norm(x), np.linalg.norm(x, axis=1)),
    "shape": lambda x: (
        x.T,
        x.reshape(2, 6),
        x.ravel(),
        np.expand_dims(x, 1),
        x[None].squeeze(),
        x.flatten(),
    ),
    "transposes": lambda x: (
        np.swapaxes(x, 0, 1),
        np.moveaxis(x[None], 0, 2),
        np.moveaxis(x[None], (0, -1), (1, 0)),
        np.transpose(x[None], (2, 0, 1)),
    ),
    "squares_of_booleans": lambda x: (x > 0) ** 2 + np.square(x > 0) + (x > 0) ** 3,
    "joining": lambda x: (
        np.concatenate([x, x], 1),
        np.stack([x, x]),
        np.vstack([x, x[0]]),
        np.hstack([x, x]),
    ),
    "splitting": lambda x: (*np.split(x, 2), *np.split(x, [1], axis=1), *np.split(x, np.int64(2))),
    "splitting unevenly": lambda x: (*np.array_split(x, 3), *np.array_split(x, 5, axis=1)),
    "repeating": lambda x: (
        np.tile(x, (2, 1)),
        np.tile(x, np.int64(2)),
        np.repeat(x, 2, axis=0),
        np.roll(x, 1),
        np.roll(x, 2, 1),
        np.flip(x),
    ),
    "pad": lambda x: (
        np.pad(x, 1),
        np.pad(x, ((0, 1), (2, 0))),
        np.pad(x, 1, constant_values=(7,)),
    ),
    "a clip without bounds is a copy": lambda x: in_place(np.copy(x)),
    "choosing": lambda x: (np.where(x > 0, x, 0), np.clip(x, -1, 1), x.clip(0), np.maximum(x, 0)),
    "picking": lambda x: (
        x[0],
        x[-1, 2],
        x[:, 1],
        x[1:3, ::-1],
        x[..., None],
        x[[0, 2]],
        x[:, [2, 0]],
        x[LABELS[:2], 1],
    ),
    "masks": lambda x: (x[np.array([True, False, True, False])],),
    "masks among other indices": lambda x: (
        x[1:, np.array([True, False, True])],
        x[..., np.array([False, True, True])],
        x[np.array([True, False, True, False]), 1:],
        x[None, x.shape[0] * [True]],
    ),
    "arrays without axes": lambda x: (
        np.array(x[0, 0])[...],
        np.array(x[0, 0])[()],
        np.array(x[0, 0])[None],
        x[0, 0, ...],
    ),
    "take": lambda x: (
        np.take(x, [0, 2], axis=1),
        x.take([1, 5]),
        np.take_along_axis(x, LABELS[:, None] % 3, 1),
    ),
    "diagonals": lambda x: (
        np.diagonal(x),
        np.trace(x),
        np.diag(x[0]),
        np.tril(x),
        np.triu(x, 1),
        np.diagflat(x[0]),
    ),
    "products": lambda x: (
        np.dot(x, x.T),
        x @ x[0],
        np.dot(x[0], x[1]),
        np.outer(x[0], x[1]),
        np.inner(x, x),
    ),
    "tensordot": lambda x: (np.tensordot(x, x, 2), np.tensordot(x, x.T, 1), np.vdot(x[0], x[1])),
    "einsum": lambda x: (
        np.einsum("ij,kj->ik", x, x),
        np.einsum("ij->j", x),
        np.einsum("ij,ij->", x, x),
    ),
    "einsum with a stack": lambda x: (
        np.einsum("bi,bj->bij", x, x),
        np.einsum("ii->i", x[:3]),
        np.einsum("i,j,k", x[0], x[1], x[2]),
    ),
    "rounding": lambda x: (np.round(x), np.round(x, 2), np.floor(x), np.nan_to_num(x)),
    "lists": lambda x: (
        np.sum([x, 2 * x], axis=0),
        np.array([x[0], x[1]]),
        np.mean([x[0, 0], x[1, 1]]),
    ),
    "making": lambda x: (
        np.zeros_like(x) + x,
        np.ones((4, 3)) * x,
        np.full((2,), 3.0),
        np.eye(4)[LABELS],
        np.linspace(0, 1, 3),
    ),
    "ranges": lambda x: (
        x[range(4), LABELS],
        x[np.arange(4), LABELS],
        np.arange(3) + x,
        np.arange(0.0, 1.5, 0.5) * x,
    ),
    "one-hot": lambda x: (np.eye(3)[LABELS] * x,),
    "loops": lambda x: (sum(row for row in x), sum(x[i, 0] for i in range(len(x)))),
    "questions": lambda x: (
        x * x.shape[0] + x.ndim + x.size,
        x * len(x),
        x * float(np.finfo(x.dtype).eps),
    ),
    "dtypes": lambda x: (
        x.astype(np.float32),
        x.astype(int),
        (x > 0) * 1.0,
        np.float32(2) * x,
        x.sum().astype("f4"),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_recording_computes_what_numpy_computes(name):
    assert_same_when_recorded(FUNCTIONS[name], X)


def test_float32_stays_float32():
    program = assert_same_when_recorded(
        lambda x: (x * 2 + 0.5, np.mean(x), x / 3, np.tanh(x).sum(axis=0), np.hypot(x, 2)), Y
    )
    assert {output.operand.type.dtype for output in program.outputs} == {"f32"}


OF_NO_AXES = {
    "+x": lambda x: +x,
    "np.clip": lambda x: np.clip(x, None, None),
    "np.round": np.round,
    "np.conjugate": np.conjugate,
    "np.nan_to_num": np.nan_to_num,
    "np.fmax": lambda x: np.fmax(x, 1),
    "np.square": np.square,
    "np.float_power": lambda x: np.float_power(x, 2),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("name", OF_NO_AXES)
def test_a_function_of_an_array_without_axes_gives_a_number(name, dtype):
    assert_same_when_recorded(OF_NO_AXES[name], np.array(2, dtype))


OF_TWO = ["logaddexp", "heaviside", "hypot", "float_power"]
BESIDE = [
    2.5,
    1,
    np.float32(0.3),
    *(np.array([0, 1, 3], d) for d in ("i1", "u1", "i8", "f2", "f4")),
]


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_dtypes_are_computed_in_numpys_dtype(name):
    for x in BESIDE:
        for y in BESIDE:
            wanted = getattr(np, name)(x, y)
            (seen,) = evaluate(record(getattr(np, name), x, y), [x, y])
            assert seen.dtype == wanted.dtype
            np.testing.assert_allclose(seen, wanted, rtol=4 * np.finfo(wanted.dtype).eps)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_cut_off_keeps_the_sign_of_zero(dtype):
    x = np.array([-0.0, 0.0, -0.5, 0.5, -2.5, np.nan, -np.inf], dtype)
    assert_same_when_recorded(lambda x: 1 / np.trunc(x), x)


WHOLE = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@pytest.mark.parametrize("dtype", WHOLE)
def test_bits_of_integers(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = np.array([low, 0, 1, 5, 99, high], dtype)
    assert_same_when_recorded(
        lambda x, y: (x & y, x | 3, x ^ y, ~x, x << 3, x >> y[3], 1 << x[2:4], x >> 7), x, x[::-1]
    )


def test_bits_of_booleans_are_logic():
    one, other = np.array([True, True, False]), np.array([True, False, False])
    program = assert_same_when_recorded(lambda x, y: (x & y, x | y, x ^ y, ~x), one, other)
    logic = {"logical_and", "logical_or", "not_equal", "logical_not"}
    assert {equation.primitive for equation in program.equations} == logic


def test_floats_have_no_bits():
    for invert in (np.invert, lambda x: record(np.invert, x)):
        with pytest.raises(TypeError, match="invert"):
            invert(X)


def test_python_numbers_stay_python_numbers():
    program = assert_same_when_recorded(
        lambda a, b: (a * b + a, a / b, a**2, -b, a < b, np.exp(a)), 3, 4.0
    )
    kinds = [output.operand.type.kind for output in program.outputs]
    assert kinds == ["python"] * 5 + ["scalar"]


def test_labels_as_indices_of_any_integer_dtype():
    for dtype in (np.int8, np.uint8, np.int32, np.int64):
        assert_same_when_recorded(
            lambda x, y: (x[range(4), y], np.eye(3)[y]), X, LABELS.astype(dtype)
        )


def test_isinstance_of_ndarray_holds_while_recording():
    assert_same_when_recorded(lambda x: x * 2 if isinstance(x, np.ndarray) else x, X)


def test_numbers_that_no_input_has_a_part_in_are_known():
    def function(x):
        counts = np.array([1, 2, 3])
        total = x * 0
        for i in range(int(counts.sum())):
            if counts.max() > 2:
                total = total + i * x
        return total

    assert_same_when_recorded(function, X)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (lambda x: x if x.sum() > 0 else -x, "asks for the number in an array (a condition)"),
        (lambda x: float(x[0, 0]) * x, "asks for the number in an array (float(x))"),
        (lambda x: np.zeros(int(x[0, 0])), "asks for the number in an array (int(x))"),
        (lambda x: x.tolist(), "asks for the number in an array (x.tolist())"),
        (lambda x: x[0, 0].item(), "asks for the number in an array (x.item())"),
        (lambda x: x[x > 0], "picks entries with a mask that is computed"),
        (lambda x: np.linalg.svd(x), "calls numpy.linalg.svd, which the compiler does not know"),
        (lambda x: np.arcsinh(x), "calls np.arcsinh, which the compiler does not know"),
        (lambda x: np.sort(x), "calls numpy.sort, which the compiler does not know"),
        (lambda x: __import__("math").exp(x[0, 0]), "asks for the number in an array (float(x))"),
        (lambda x: np.add(x, 1, where=x > 0), "calls np.add with where="),
        (lambda x: np.pad(x, 1, constant_values=(7, 8)), "pads with several constants"),
        (lambda x: x[None, 0, ..., [0, 1]], "`...` for no axis between two arrays"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_its_reason(code, reason):
    with pytest.raises(Refused) as refused:
        record(code, X)
    assert reason in str(refused.value)


def test_numpy_is_itself_again_afterwards_and_for_other_threads():
    import threading

    seen = []

    def function(x):
        thread = threading.Thread(target=lambda: seen.append(type(np.zeros(2))))
        thread.start()
        thread.join()
        return x + np.zeros(3)

    zeros = np.zeros
    record(function, X)
    assert seen == [np.ndarray]
    assert np.zeros is zeros
    with pytest.raises(Refused):
        record(lambda x: bool(x[0, 0]), X)
    assert np.zeros is zeros


def test_an_axis_that_an_array_does_not_have_is_refused_as_by_numpy():
    for code in (lambda x: np.expand_dims(x, 7), lambda x: np.moveaxis(x, 0, 2)):
        with pytest.raises(np.exceptions.AxisError):
            record(code, X)
    with pytest.raises(ValueError, match="equal division"):
        record(lambda x: np.split(x, 3), X)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (np.array([True, False]), "a mask of shape"),
        ((slice(None), np.array([True, False])), "a mask of shape"),
        ((..., np.ones((4, 4), bool)), "a mask of shape"),
        ((..., 0, ...), "single ellipsis"),
        ((0, 0, 0), "too many indices"),
        ((np.ones((4, 3), bool), 0), "too many indices"),
        (4, "out of bounds"),
    ],
)
def test_an_index_that_does_not_fit_is_refused_as_by_numpy(index, message):
    with pytest.raises(IndexError):
        X[index]
    with pytest.raises(IndexError, match=message):
        record(lambda x: x[index], X)
