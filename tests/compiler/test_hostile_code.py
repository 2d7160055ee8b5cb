"""Code that might be recorded wrong: it is right, or it is refused with its reason."""

import copy
import functools
import json
import math
import pickle
import random
import time
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from numpy import dot, exp, float32, zeros
from numpy import sum as np_sum

import miniflow as mf
from compiler.doing import FEEDS, Doing, outcome

TABLE = np.array([1.0, 2.0, 3.0])
RNG = np.random.default_rng(3)
MADE = {}
SEEN = []


@functools.lru_cache
def causal_mask(n):
    return np.tril(np.ones((n, n)))


@functools.lru_cache
def identity(n):
    return np.eye(n)


def do(*values):
    """The last of several values: for code of several steps in one lambda."""
    return values[-1]


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


# --- What is refused


def error_caught(node, x):
    try:
        total = float(x.sum())
    except Exception:
        total = 0.0
    return x * total


def counts(node, x):
    node.count += 1
    return x * node.count


def counts_and_changes_its_mind_later(node, x):
    node.count += 1
    return x * 2 if node.count > 50 else x


def grows_a_list(node, x):
    node.kept.append(len(x))
    return x / len(node.kept)


def running_mean(node, x):
    mean = x.mean()
    node.mean = mean if node.mean is None else 0.9 * node.mean + 0.1 * mean
    return x - node.mean


def running_mean_for_later(node, x):
    running_mean(node, x)
    return x * 2


def running_mean_in_place(node, x):
    node.cache.setdefault("mean", np.zeros(3))
    node.cache["mean"] += x.mean(axis=0)
    return x - node.cache["mean"]


def counts_in_its_class(node, x):
    type(node).passes = getattr(type(node), "passes", 0) + 1
    return x * type(node).passes


def keeps_in_its_class(node, x):
    type(node).last = x.mean() + 0.5 * getattr(type(node), "last", 0.0)
    return x * type(node).last


def reuses_a_buffer(node, x):
    if node.mean is None:
        node.mean = np.zeros((4, 3))
    node.mean[...] = x * 2
    return node.mean


def error_for_numbers_caught(node, x):
    with np.errstate(over="raise"):
        try:
            return np.exp(x * 400)
        except FloatingPointError:
            return np.exp(x)


def out_of_range_caught(node, x):
    try:
        return x[:, np.argmax(x, axis=1) + 1].sum()
    except IndexError:
        return x.sum()


TWICE = "does not do the same twice"
KEPT = "computed in an earlier pass over the graph, and kept"
PASSES = "from pass to pass"
ASKS = "asks for the number in an array"
UNKNOWN = "which the compiler does not know"

REFUSED = {
    error_caught: f"{ASKS} (float(x))",
    counts: "changes self.count from pass to pass",
    counts_and_changes_its_mind_later: "changes self.count from pass to pass",
    grows_a_list: "changes self.kept from pass to pass",
    running_mean: KEPT,
    running_mean_for_later: KEPT,
    running_mean_in_place: KEPT,
    counts_in_its_class: TWICE,
    keeps_in_its_class: KEPT,
    reuses_a_buffer: KEPT,
    error_for_numbers_caught: "has NumPy raise errors for numbers",
    out_of_range_caught: "Code that catches errors",
    (lambda node, x: x * np.random.rand(3)): TWICE,
    (lambda node, x: x * RNG.normal(size=3)): TWICE,
    (lambda node, x: x * random.random()): TWICE,
    (lambda node, x: x * time.perf_counter_ns()): TWICE,
    (lambda node, x: x * 2 if type(x) is np.ndarray else x * 3): "compiled and",
    (lambda node, x: np.float64(x)): "needs its numbers",
    (lambda node, x: x * float32(x.sum())): "needs its numbers",
    (lambda node, x: np.vectorize(lambda v: v * 2)(x)): "needs its numbers",
    (lambda node, x: np.maximum([x[0], x[1]], 0)): "needs its numbers",
    (lambda node, x: TABLE[np.argmax(x, axis=1)]): "np.take(table, indices, axis=0)",
    (lambda node, x: node.table.__iadd__(1)[0] * x): "that array was made before this pass",
    (lambda node, x: np.fill_diagonal(a := np.eye(3), 5.0) or x @ a): "read-only",
    (lambda node, x: np.frombuffer(x)): "TypeError: a bytes-like object is required",
    (lambda node, x: x * memoryview(x).nbytes): "TypeError: memoryview",
    (lambda node, x: x * x.data.nbytes): f"uses `.data` of an array, {UNKNOWN}",
    (lambda node, x: x.view()): f"uses `.view` of an array, {UNKNOWN}",
    (lambda node, x: sum(x.flat) * x): f"uses `.flat` of an array, {UNKNOWN}",
    (lambda node, x: do(x.setflags(write=False), x)): f"uses `.setflags` of an array, {UNKNOWN}",
    (lambda node, x: x * hasattr(x, "strides")): f"uses `.strides` of an array, {UNKNOWN}",
    (lambda node, x: x * len(x.tobytes())): f"uses `.tobytes` of an array, {UNKNOWN}",
    (lambda node, x: np.putmask(a := x * 1, a > 0, 5.0) or a): "Write a[mask] = b",
    (lambda node, x: np.place(a := x * 1, a > 0, [5.0]) or a): "Write a[mask] = b",
    (lambda node, x: np.fill_diagonal(a := x * 1, 5.0) or a): "Write a[range(n), range(n)] = b",
    (lambda node, x: np.apply_along_axis(np.sum, 0, x)): "with axis=",
    (lambda node, x: do(a := x * 1, a.sort(), a)): f"numpy.sort, {UNKNOWN}",
    (lambda node, x: np.add(x, 1, where=x > 0, out=np.zeros((4, 3)))): "with where=",
    (lambda node, x: np.take(x, [7], axis=0, mode="clip")): "mode='clip'",
    (lambda node, x: np.linalg.norm(x, 2) * x): "ord=2",
    (lambda node, x: np.nan_to_num(x, copy=False)): "copy=False",
    (lambda node, x: np.add.reduce(x, initial=5.0)): "np.add.reduce",
    (lambda node, x: x.T.ravel("K")): "reshapes in the order 'K'",
    (lambda node, x: np.repeat(x, np.argmax(x, 1) + 1, axis=0)): "as a count or an index",
    (lambda node, x: do(a := np.copy(x.T), a.reshape(-1).__iadd__(1), a)): "may share the memory",
    (lambda node, x: do(a := x * 1, d := np.diagonal(a), a.__iadd__(1), d)): "its diagonal",
    (lambda node, x: x * max(x[0, 0], x[0, 1])): "np.maximum(a, b) instead of max(a, b)",
    (lambda node, x: sorted([x[0, 0], x[1, 1]])[0] * x): f"{ASKS} (a condition)",
    (lambda node, x: x * 2 if -99 < x.sum() < 99 else x): f"{ASKS} (a condition)",
    (lambda node, x: x.any() or x): f"{ASKS} (a condition)",
    (lambda node, x: x * (x.sum() in [1.0, 2.0])): f"{ASKS} (a condition)",
    (lambda node, x: x * 2 if (x == None) is None else x * 3): "with `x is None`",  # noqa: E711
    (lambda node, x: x * len({x[0, 0], x[0, 1]})): "uses a number as a key",
    (lambda node, x: pickle.loads(pickle.dumps(x))): "(pickle)",
    (lambda node, x: x * len(json.dumps(x.tolist()))): f"{ASKS} (x.tolist())",
    (lambda node, x: x * math.exp(x[0, 0])): "np.exp(x) instead of math.exp(x)",
    (lambda node, x: x * math.floor(x.sum())): f"{ASKS} (float(x))",
    (lambda node, x: divmod(x, 2)[0]): f"calls np.divmod, {UNKNOWN}",
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED, ids=lambda code: REFUSED[code])
def test_code_that_could_go_wrong_is_refused_with_its_reason(code):
    error = outcome(code)
    assert isinstance(error, mf.CompileError)
    message = str(error)
    assert message.startswith("Doing (doing.py:")
    assert REFUSED[code] in message
    assert message.endswith("The interpreter (mf.value_and_grad) runs it as it is.")


@pytest.mark.skipif(find_spec("scipy") is None, reason="needs scipy")
def test_functions_of_other_libraries_are_refused():
    from scipy.special import expit

    assert "not NumPy's" in str(outcome(lambda node, x: expit(x)))


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


# --- What recording leaves behind


class Logging(mf.Node):
    """Writes to a global list, a global name and its class."""

    last = None

    def __init__(self, x):
        mf.Node.__init__(self, [x])

    def forward(self):
        global latest
        x = self.inbound_nodes[0].value
        self.value = x * 2
        SEEN.append(self.value)
        latest = self.value
        Logging.last = self.value

    def backward(self):
        self.gradients = {self.inbound_nodes[0]: 2.0 * np.ones_like(self.value)}


latest = None


def test_nothing_traced_is_left_in_classes_and_global_variables():
    x = mf.Input("x")
    SEEN.clear()
    assert mf.compile(Logging(x), backend="numpy")({x: np.ones(2)}).tolist() == [2, 2]
    assert [type(array) for array in SEEN] == [np.ndarray]  # the interpreter's, which compares
    assert type(latest) is np.ndarray
    assert Logging.last is None


def test_random_generators_go_on_where_they_were():
    x = mf.Input("x")
    node = Doing(x, lambda node, v: v * node.rng.normal(size=2))
    node.rng, twin = np.random.default_rng(7), np.random.default_rng(7)
    with pytest.raises(mf.CompileError, match=TWICE):
        mf.compile(node, backend="numpy")({x: np.ones(2)})
    assert node.rng.normal() == twin.normal()


def test_what_a_helper_has_cached_while_recording_is_an_array_to_the_interpreter():
    @functools.lru_cache
    def mask(n):
        return np.tril(np.ones((n, n)))

    x = mf.Input("x")
    node = Doing(x, lambda node, v: v @ mask(3) + mask(3)[0] + mask(3).sum())
    fed = {x: FEEDS[0]}
    compiled = mf.compile(node, backend="numpy")(fed)
    np.testing.assert_allclose(mf.value(node, fed), compiled)
    np.testing.assert_array_equal(np.asarray(mask(3)), np.tril(np.ones((3, 3))))
    np.testing.assert_allclose(mf.compile(node * 2.0, backend="numpy")(fed), 2 * compiled)


def test_what_a_helper_has_cached_of_the_data_is_an_error_that_says_so():
    kept = []

    def code(node, x):
        kept.append(x.mean())
        return x * 2

    x = mf.Input("x")
    mf.compile(Doing(x, code), backend="numpy")({x: FEEDS[0]})
    for use in (lambda v: v + 1, np.sum, float, lambda v: np.asarray(v)):
        with pytest.raises(mf.MiniflowError, match="there are no numbers in it"):
            use(kept[0])


def test_a_constant_that_a_node_writes_to_is_left_alone_and_the_node_refused():
    def scaled(node, x):
        table = node.inbound_nodes[0].inbound_nodes[1].value
        table /= 2.0
        return x * 1

    x, array = mf.Input("x"), np.array([2.0, 4.0])
    node = Doing(x * mf.Constant(array), scaled)
    with pytest.raises(mf.CompileError, match="that array was made before this pass"):
        mf.compile(node, backend="numpy")({x: np.ones(2)})
    assert array.tolist() == [2, 4]
    mf.value(node, {x: np.ones(2)})
    assert array.tolist() == [1, 2]


def test_a_recording_within_a_recording():
    """A node's forward may compile and run another graph, of real numbers."""
    inner = mf.Input("inner")
    square = mf.compile(mf.Sum(inner * inner), backend="numpy")

    def code(node, x):
        factor = square({inner: TABLE})
        grown = np.zeros((4, 3))
        grown[:2] = x[:2] * factor
        return grown

    assert outcome(code) is None


# --- Errors of one's own


def test_an_error_of_the_code_itself_is_the_interpreters():
    x = mf.Input("x")
    node = Doing(x, lambda node, v: v @ v)
    with pytest.raises(mf.MiniflowError, match=r"forward\(\) failed with ValueError: matmul"):
        mf.compile(node, backend="numpy")({x: np.ones((2, 3))})


def test_a_graph_that_was_rewired_after_compiling_is_refused():
    x, y = mf.Input("x"), mf.Input("y")
    node = mf.Neg(x)
    f = mf.compile(node, backend="numpy")
    node.inbound_nodes[0] = y
    with pytest.raises(mf.CompileError, match="compile it again"):
        f({x: np.ones(2), y: np.ones(2)})


def test_refusals_name_the_users_line_wherever_the_user_keeps_it(tmp_path):
    folder = tmp_path / "miniflow" / "numpy"
    folder.mkdir(parents=True)
    file = folder / "mine.py"
    file.write_text("def code(node, x):\n    return x if x.sum() > 0 else -x\n", encoding="utf-8")
    namespace = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
    x = mf.Input("x")
    with pytest.raises(mf.CompileError, match=r"\(mine\.py:2: return x if x\.sum\(\) > 0"):
        mf.compile(Doing(x, namespace["code"]), backend="numpy")({x: np.ones(2)})
