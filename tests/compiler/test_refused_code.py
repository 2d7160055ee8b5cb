"""Code that would be recorded wrong is refused, with its reason and the user's line."""

import json
import math
import pickle
import random
import time
from importlib.util import find_spec

import numpy as np
import pytest
from numpy import float32

import miniflow as mf
from compiler.doing import Doing, do, outcome

TABLE = np.array([1.0, 2.0, 3.0])
RNG = np.random.default_rng(3)


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
