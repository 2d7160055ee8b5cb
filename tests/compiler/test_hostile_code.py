"""Code that might be recorded wrong, and means the same compiled."""

import copy
import functools
import math
import warnings

import numpy as np
import pytest
from numpy import dot, exp, zeros
from numpy import sum as np_sum

import miniflow as mf
from compiler.doing import FEEDS, Doing, do, outcome

TABLE = np.array([1.0, 2.0, 3.0])
MADE = {}


@functools.lru_cache
def causal_mask(n):
    return np.tril(np.ones((n, n)))


@functools.lru_cache
def identity(n):
    return np.eye(n)


# --- What is kept from pass to pass


def made_at_the_first_pass(node, x):
    if node.mean is None:
        node.mean = np.tril(np.ones((3, 3))) / 2
    return x @ node.mean


def made_once_in_the_cache(node, x):
    return x @ node.cache.setdefault("mask", np.eye(3) * 2)


def made_once_in_a_global(node, x):
    if "eye" not in MADE:
        MADE["eye"] = np.eye(3) * 2
    return x @ MADE["eye"]


def buffer_of_this_pass(node, x):
    node.buffer = np.zeros((4, 3))
    node.buffer[...] = x * 2
    return node.buffer


def table_changed_between_two_uses(node, x):
    TABLE[0] = 5.0
    first = x * TABLE
    TABLE[0] = 7.0
    second = x * TABLE
    TABLE[0] = 1.0
    return first + second


def table_changed_through_asarray(node, x):
    same = np.asarray(TABLE)
    same[0] = 9.0
    y = x * TABLE
    same[0] = 1.0
    return y


# --- One array under several names


def stored_twice(node, x):
    node.cache["a"] = node.buffer = np.zeros_like(x)
    node.cache["a"] += x
    node.buffer *= 2
    return node.cache["a"]


def value_changed_after_it_was_handed_on(node, x):
    node.value = x * 2
    kept = node.value
    kept += 1
    return kept


def value_of_the_node_before_changed(node, x):
    source = node.inbound_nodes[0].value
    source *= 2
    return source + 1


def in_place_on_an_entry_of_a_list(node, x):
    rows = list(x + 0)
    rows[1] += 100
    return np.stack(rows)


def in_place_on_a_row_that_is_found(node, x):
    a = x * 1
    row = a[np.argmax(a[:, 0])]
    row *= 3
    return a


def seen_through_a_row_that_is_found(node, x):
    a = x * 1
    row = a[np.argmax(a[:, 0])]
    a += 10
    return row


def seen_through_what_was_broadcast(node, x):
    a = x * 1
    many = np.broadcast_to(a, (2, 4, 3))
    a += 1
    return many * 2


def copies_are_apart(node, x):
    a = x + 1
    shallow, deep = copy.copy(a), copy.deepcopy([a])[0]
    a += 1
    return shallow + deep


def zero_d_array_in_place(node, x):
    total = np.zeros(())
    total[...] += x.sum()
    total += 1
    part = total[...]
    part *= 2
    return total * x


def entry_with_ellipsis_is_a_view(node, x):
    a = x * 1
    entry = a[0, 0, ...]
    entry += 5
    return a


def entry_with_ellipsis_is_an_array(node, x):
    return x[..., 1, -1] if np.ndim(x[..., None, 1, 1]) == 1 else x


def out_arguments(node, x):
    a = np.empty((4, 3))
    np.multiply(x, 2, out=a)
    np.add(a, 1, a)
    return np.sum(a, axis=0, out=np.zeros(3)) + np.var(x, axis=0, out=np.zeros(3))


# --- Python around it


def error_about_shapes_caught(node, x):
    try:
        return x[10]
    except IndexError:
        return x[0]


def printed(node, x):
    text = f"{x.sum():.2f} {x} {x!r}"
    assert text
    return x * 2


def texts_as_keys(node, x):
    a, b = x + 1, x + 2
    memo = {str(a): a * 2}
    return memo.get(str(b), b * 3)


def quiet(node, x):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        return np.exp(x)


def picks_from_tables_of_its_own(node, x):
    labels = np.argmax(x, axis=1)
    return node.table[labels] + np.take(TABLE, labels)[:, None]


def decomposed_once(node, x):
    return x @ np.linalg.inv(np.eye(3) * 2.0) + np.arcsinh(node.table).sum()


def graph_built_in_the_pass(node, x):
    inner = mf.Input("inner")
    return mf.value(mf.Sum(mf.Tanh(inner) * TABLE, axis=1), {inner: x})


def attributes_of_all_kinds(node, x):
    node.nothing = float("nan")
    node.names = np.array(["a", "b"])
    return x * 2 if node.names[0] == "a" else x


def generator(node, x):
    def rows():
        yield from x

    return sum(row * i for i, row in enumerate(rows()))


def counted_with_numpy(node, x):
    total = 0.0
    for i in np.arange(3):
        total = total + x[int(i)] * float(i)
    return total


RIGHT = {
    f.__name__: f
    for f in (
        *(made_at_the_first_pass, made_once_in_the_cache, made_once_in_a_global),
        *(buffer_of_this_pass, table_changed_between_two_uses, table_changed_through_asarray),
        *(stored_twice, value_changed_after_it_was_handed_on, value_of_the_node_before_changed),
        *(in_place_on_an_entry_of_a_list, in_place_on_a_row_that_is_found),
        *(seen_through_a_row_that_is_found, seen_through_what_was_broadcast, copies_are_apart),
        *(zero_d_array_in_place, entry_with_ellipsis_is_a_view, out_arguments),
        entry_with_ellipsis_is_an_array,
        *(error_about_shapes_caught, printed, texts_as_keys, quiet, generator),
        *(counted_with_numpy, picks_from_tables_of_its_own, decomposed_once),
        *(graph_built_in_the_pass, attributes_of_all_kinds),
    )
} | {
    "a cached function of sizes": lambda node, x: x @ causal_mask(3) @ identity(3),
    "seeded random numbers": lambda node, x: x * np.random.default_rng(0).normal(size=3),
    "seeded permutation": lambda node, x: x[np.random.default_rng(0).permutation(4)],
    "seeded, in the old style": lambda node, x: x * np.random.RandomState(1).rand(4, 3),
    "names imported from numpy": lambda node, x: zeros((4, 3)) + exp(x) + np_sum(dot(x, x.T)),
    "isinstance float": lambda node, x: x * (2 if isinstance(x.sum(), float) else 3),
    "isscalar": lambda node, x: x * (2 if np.isscalar(x.sum()) else 3),
    "getattr": lambda node, x: x * (2 if getattr(x, "requires_grad", None) is None else 3),
    "is None": lambda node, x: x if x is None else x * 2,
    "number of a dtype": lambda node, x: np.maximum(x, x.dtype.type(0)) + np.finfo(x.dtype).eps,
    "map": lambda node, x: np.array(list(map(np.sum, x))),
    "builtin sum": lambda node, x: sum(list(x)) + sum(float(i) * x[i] for i in range(3)),
    "zip": lambda node, x: np.stack([a * b for a, b in zip(x, x[::-1], strict=True)]),
    "math on shapes": lambda node, x: x / math.sqrt(x.shape[1]),
    "vectors": lambda node, x: (x[0] @ x[1]) * (x @ x[0]),
    "nested lists": lambda node, x: np.array([[x[0, 0], 1.0], [2.0, x[1, 1]]]),
    "ix_": lambda node, x: x[np.ix_([0, 1], [1, 2])],
    "list of booleans": lambda node, x: x[[True, False, True, True]],
    "copyto": lambda node, x: do(a := np.zeros((4, 3)), np.copyto(a, x), a),
    "array without a copy": lambda node, x: do(
        a := x * 1, b := np.array(a, copy=None), b.__iadd__(1), a
    ),
    "arange with keywords": lambda node, x: x.sum() * np.arange(start=1, stop=9, step=2),
    "arange with a step": lambda node, x: x.sum() * np.arange(0, 10, step=2),
    "ndmin": lambda node, x: np.array(x, ndmin=3),
    "full of a row": lambda node, x: np.full((4, 3), x[0]) + x,
}


@pytest.mark.parametrize("name", RIGHT)
def test_code_means_the_same_compiled(name):
    assert outcome(RIGHT[name]) is None


NUMBERS = {
    "integer division": lambda node, x: x // 2 + x.astype(int) // 2 + x.astype(int) % 3,
    "booleans added": lambda node, x: (x > 0) + (x > 1),
    "booleans counted": lambda node, x: (x > 0).sum() * x + np.mean(x > 0),
    "boolean minus one": lambda node, x: (x > 0) - 1,
    "bytes overflow": lambda node, x: (np.abs(x * 9).astype(np.uint8) * np.uint8(200)) * 1.0,
    "int32 overflows": lambda node, x: (x.astype(np.int32) * 2**30) * 1.0,
    "float16 sums": lambda node, x: np.mean((x * 0 + 1000).astype(np.float16).repeat(99)) * x,
    "float16 variance": lambda node, x: np.var((x * 900).astype(np.float16)) * x.sum(),
    "dtypes by letter": lambda node, x: (np.zeros_like(x, "i8") + 300 + np.full((4, 3), 300, "i8"))
    * x,
    "logical_xor of numbers": lambda node, x: np.logical_xor(x, 2 * x) * x,
    "square of a Python number": lambda node, x: np.square(3) * x + np.round(2) * x,
    "norm of rows": lambda node, x: np.linalg.norm(x, 2, axis=1) + np.linalg.norm(x, "fro"),
    "norm of integers": lambda node, x: np.linalg.norm(x.astype(np.int8)) * x,
    "vdot flattens": lambda node, x: np.vdot(x, x) * np.inner(x, 2.0),
    "infinities replaced": lambda node, x: np.nan_to_num(x / (x > 1), posinf=0.5, neginf=-7.0),
    "rounded integers": lambda node, x: np.round(x.astype(int)) + np.round(x, 1),
    "sinh": lambda node, x: np.sinh(x * 1e-9) * 1e9 + np.sinh(x * 20),
    "hypot": lambda node, x: np.hypot(x * 1e200, 1e200) + np.hypot(0, 0 * x),
    "heaviside": lambda node, x: np.heaviside(x.astype(np.float32), 0.5),
    "logaddexp of nothing": lambda node, x: np.logaddexp(np.log(np.maximum(x, 0)), -np.inf),
    "tril of booleans": lambda node, x: np.tril(x > 0) | np.triu(x > 1, 1),
    "diag of booleans": lambda node, x: np.diag(x[0] > 0),
    "variance in another dtype": lambda node, x: np.var(x.astype(np.float32), dtype=np.float64) * x,
    "standard deviation": lambda node, x: np.std(x, axis=0, ddof=1, keepdims=True) + x,
    "cumsum in another dtype": lambda node, x: np.cumsum(x.astype(np.float32), dtype=np.float64),
    "add in another dtype": lambda node, x: np.add(x, 1, dtype=np.float32),
    "casting": lambda node, x: np.add(x * 9, 1, out=np.zeros((4, 3), int), casting="unsafe") * 1.0,
    "fabs, exp2, deg2rad of integers": lambda node, x: np.fabs(x.astype(int))
    + np.exp2(x.astype(int))
    + np.deg2rad(x.astype(int)),
    "float32 and numbers": lambda node, x: x.astype(np.float32) * 2.5 + np.float32(0.1) * np.pi,
    "powers": lambda node, x: x**2 + x**-1 + np.abs(x) ** 0.5 + 2**x + x.astype(int) ** 3,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter's: overflow, 1 / 0
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_come_out_as_numpys(name):
    assert outcome(NUMBERS[name]) is None


# --- Gradients


def test_gradient_arrays_that_are_shared_and_changed_in_place_are_shared():
    def doubled(node, grad):
        (consumer,) = node.outbound_nodes
        grad = consumer.gradients[node]
        grad *= 2  # the consumer's own array, which it may have handed to others as well
        return grad

    class Both(mf.Node):
        def __init__(self, x, y):
            mf.Node.__init__(self, [x, y])

        def forward(self):
            self.value = self.inbound_nodes[0].value + self.inbound_nodes[1].value

        def backward(self):
            grad = np.copy(sum(n.gradients[self] for n in self.outbound_nodes))
            self.gradients = dict.fromkeys(self.inbound_nodes, grad)

    def build():
        x = mf.Input("x")
        sides = [Doing(x * factor, lambda node, v: v + 1, doubled) for factor in (1.0, 3.0)]
        return x, Both(*sides)

    (x, head), (other, twin) = build(), build()
    fed = FEEDS[0]
    _, (wanted,) = mf.value_and_grad(twin, {other: fed}, [other])
    _, (seen,) = mf.compile(head, wrt=[x], backend="numpy")({x: fed})
    np.testing.assert_allclose(seen, wanted)


def test_a_value_changed_in_the_backward_pass_is_what_is_returned():
    def backward(node, grad):
        node.value *= 2
        return grad

    assert outcome(lambda node, x: x + 1, backward=backward) is None


def test_gradients_written_into_the_dictionary_that_is_there_are_put_back():
    class Old(mf.Node):
        def __init__(self, x):
            mf.Node.__init__(self, [x])

        def forward(self):
            self.value = self.inbound_nodes[0].value * 2

        def backward(self):
            (x,) = self.inbound_nodes
            self.gradients[x] = 2 * sum(n.gradients[self] for n in self.outbound_nodes)

    x = mf.Input("x")
    node = Old(x)
    _, (dx,) = mf.value_and_grad(node, {x: np.ones(2)}, [x])
    before = dict(node.gradients)
    mf.compile(node, wrt=[x], backend="numpy")({x: np.ones(2)})
    assert node.gradients.keys() == before.keys()
    assert all(node.gradients[n] is before[n] for n in before)
    assert dx.tolist() == [2, 2]
