"""What the tests of the JAX backend run in processes of their own (`child.py`): JAX starts threads,
and other tests fork. Each function is a test; what it raises, the test that started it tells.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from conformance import CASES
from properties.every_node import EVERY_NODE

import miniflow as mf
from miniflow.backends import find
from miniflow.ir import evaluate, type_of

from ..agreement import Case, assert_close, copies, program_of_many
from ..cases import KINDS
from .derivatives import derivatives_are_those_of_jax as derivatives_are_those_of_jax

MANY = 40  # cases in a program


def fails(error: type[Exception], *parts: str) -> Any:
    """A `with` block that has to fail with an error whose message has these parts."""

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        told = None
        try:
            yield
        except error as raised:
            told = str(raised)
        assert told is not None, f"no {error.__name__} was raised"
        missing = [part for part in parts if part not in told]
        assert not missing, f"{missing} not in: {told}"

    return block()


# Primitives.


def some_primitives() -> None:
    """Some cases of each kind, all of them in a few programs."""
    chosen = [case for name in sorted(KINDS) for case in of_kind(name, 3)]
    assert_cases_agree(chosen, 90)


def many_primitives() -> None:
    for name in sorted(KINDS):
        assert_cases_agree(of_kind(name, 150), MANY)


def of_kind(name: str, count: int) -> list[Case]:
    """So many cases that JAX computes, spread over all of the kind."""
    kept = [case for case in KINDS[name]() if not is_refused(case)]
    return kept[:: max(1, len(kept) // count)]


def is_refused(case: Case) -> bool:
    """Whether it makes integers of fractions that do not fit, which are no integers in C."""
    name, operands, params = case
    if name == "cast" and params["dtype"][0] in "iu":
        return not fits(operands[0], params["dtype"])
    if name == "scan":  # fractions, of u64 and i64, become integers
        return type_of(operands[0]).dtype == "u64"
    if name in ("scatter_add", "gather_update", "slice_update"):
        target = type_of(operands[0]).dtype
        if name == "scatter_add" and target == "u64":  # which NumPy adds as float64
            return True
        return target[0] != "f" and type_of(operands[1]).dtype[0] == "f"
    return False


def fits(x: Any, dtype: str) -> bool:
    whole = np.asarray(x)
    if whole.dtype.kind != "f":
        return True
    info = np.iinfo(f"{dtype[0]}{int(dtype[1:]) // 8}")
    wide = whole.astype(np.float64)
    return bool(((wide > info.min - 1.0) & (wide < info.max + 1.0)).all())


def assert_cases_agree(cases: Sequence[Case], at_once: int) -> None:
    for start in range(0, len(cases), at_once):
        try:
            program, arguments = program_of_many(cases[start : start + at_once])
        except AssertionError:  # none of them is anything that NumPy computes
            continue
        wanted = evaluate(program, copies(arguments))
        found = find("jax").lower(program).run(copies(arguments))
        made = {e.result: e for e in program.equations}
        for output, ours, theirs in zip(program.outputs, found, wanted, strict=True):
            equation = made[output.operand]  # type: ignore[index]
            try:
                assert_result_is_close(equation.primitive, ours, theirs)
            except AssertionError as error:
                raise AssertionError(f"{equation}: {error}") from error


def assert_result_is_close(primitive: str, ours: Any, theirs: Any) -> None:
    if primitive == "cumsum" and np.asarray(theirs).dtype.kind == "f":  # in another order
        eps = np.finfo(theirs.dtype).eps
        np.testing.assert_allclose(ours, theirs, rtol=512 * eps, atol=512 * eps, strict=True)
    else:
        # XLA's sums begin with 0.0, and which zero is the largest is anybody's guess.
        signed_zeros = primitive not in ("maximum", "minimum", "max", "min", "sum")
        assert_close(ours, theirs, signed_zeros)


# Nodes.

Graph = tuple[mf.Node, dict[mf.Node, Any], list[mf.Node]]


def built_in_graphs(dtype: Any) -> Iterator[tuple[str, Graph]]:
    for name, (build, values) in sorted(EVERY_NODE.items()):
        fed = [np.asarray(v, dtype if np.asarray(v).dtype.kind == "f" else None) for v in values]
        inputs = [mf.Input(letter) for letter in "xyzuvw"[: len(fed)]]
        node = build(*inputs)
        feed: dict[Any, Any] = dict(zip(inputs, fed, strict=True))
        if isinstance(node, mf.DummyGrad):
            feed[node] = np.ones_like(fed[0])
        wrt = [x for x in inputs if feed[x].dtype.kind == "f"]
        yield name, (node, feed, list(wrt))


def conformance_graphs(dtype: Any) -> Iterator[tuple[str, Graph]]:
    for name, build in CASES.items():
        output, feed, wrt, _ = build(dtype)
        yield name, (output, feed, list(wrt))


def every_built_in_node(dtype: Any = np.float32, share: int = 1) -> None:
    assert_graphs_agree(list(built_in_graphs(dtype))[::share], dtype)


def some_built_in_nodes() -> None:
    every_built_in_node(np.float32, 9)


def every_conformance_graph(dtype: Any = np.float32, share: int = 1) -> None:
    assert_graphs_agree(list(conformance_graphs(dtype))[::share], dtype)


def some_conformance_graphs() -> None:
    every_conformance_graph(np.float64, 9)


def every_graph_in_double_precision() -> None:
    every_built_in_node(np.float64)
    every_conformance_graph(np.float64)


def assert_graphs_agree(graphs: Sequence[tuple[str, Graph]], dtype: Any) -> None:
    """Value and gradients, of several graphs as one program."""
    at_once = 12
    for start in range(0, len(graphs), at_once):
        some = graphs[start : start + at_once]
        outputs = [graph[0] for _, graph in some]
        feed = {node: value for _, graph in some for node, value in graph[1].items()}
        wrt = [node for _, graph in some for node in graph[2]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, gradients = mf.compile(outputs, wrt=wrt, backend="jax")(feed)
            wanted = [mf.value_and_grad(g[0], g[1], g[2]) for _, g in some]
        slopes = iter(gradients)
        for (name, graph), value, (expected, theirs) in zip(some, values, wanted, strict=True):
            assert_near(name, value, expected, dtype)
            for node, slope in zip(graph[2], theirs, strict=True):
                assert_near(f"{name}, d{node.name}", next(slopes), slope, dtype)


def assert_near(what: str, ours: Any, theirs: Any, dtype: Any) -> None:
    eps = float(np.finfo(dtype).eps)
    assert np.shape(ours) == np.shape(theirs), what
    assert np.asarray(ours).dtype == np.asarray(theirs).dtype, what
    np.testing.assert_allclose(ours, theirs, rtol=512 * eps, atol=128 * eps, err_msg=what)


# Optimizers and schedules.

SCHEDULES = mf.schedules
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: mf.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: mf.Adam(SCHEDULES.CosineDecay(0.05, 10, warmup=2), clipnorm=1.0),
    "adamw": lambda: mf.AdamW(0.05, weight_decay=0.1, global_clipnorm=0.5),
    "rmsprop": lambda: mf.RMSprop(0.01, clipvalue=0.1),
}


def network(dtype: Any = np.float32, seed: int = 1, rows: int = 64) -> Any:
    """A small network with dropout, its feed, and its weights."""
    rng = np.random.default_rng(seed)
    X, y, s = mf.Input("X"), mf.Input("y"), mf.Seed("s")
    W = mf.Parameter(rng.normal(size=(12, 16)).astype(dtype), "W")
    V = mf.Parameter(rng.normal(size=(16, 4)).astype(dtype), "V")
    b = mf.Parameter(np.zeros(4, dtype), "b")
    hidden = mf.Dropout(mf.Tanh(X @ W), s, rate=0.25)
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, V, b), y, name="loss")
    images = rng.normal(size=(rows, 12)).astype(dtype)
    return loss, {X: images, y: rng.integers(0, 4, rows), s: 7}, [W, V, b]


def all_optimizers() -> None:
    for name, make in OPTIMIZERS.items():
        ends = {}
        for backend in ("numpy", "jax"):
            loss, feed, weights = network()
            step = mf.compile(loss, optimizer=make(), backend=backend)
            losses = [step(feed) for _ in range(5)]
            ends[backend] = [np.array(losses), *(w.value.copy() for w in weights)]
        for ours, theirs in zip(ends["jax"], ends["numpy"], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5, err_msg=name)


def all_schedules() -> None:
    made: list[Any] = [
        SCHEDULES.ExponentialDecay(0.1, 2, 0.5),
        SCHEDULES.CosineDecay(0.1, 10, warmup=2),
        SCHEDULES.StepDecay(0.1, 2, 0.5),
        SCHEDULES.PiecewiseConstant([2, 3], [0.1, 0.05, 0.01]),
        lambda step: 0.1 / (1.0 + step),
    ]
    W = [mf.Parameter(np.ones(2), f"W{i}") for i in range(len(made))]
    loss = mf.Sum(sum((w * w for w in W[1:]), W[0] * W[0]))
    start = [w.value.copy() for w in W]
    ends = []
    for backend in ("numpy", "jax"):
        for w, first in zip(W, start, strict=True):
            w.value = first
        groups = [(mf.SGD(schedule), [w]) for schedule, w in zip(made, W, strict=True)]
        step = mf.compile(loss, optimizer=groups, backend=backend)
        for _ in range(4):
            step({})
        ends.append([w.value.copy() for w in W])
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-12)


# What is kept on the device.


def parameters_are_read_through_and_written() -> None:
    loss, feed, (W, V, _) = network()
    other, inputs, (W2, V2, _) = network()
    ours = mf.compile(loss, optimizer=mf.SGD(0.1, momentum=0.9), backend="jax")
    theirs = mf.compile(other, optimizer=mf.SGD(0.1, momentum=0.9), backend="numpy")
    fed = dict(zip(inputs, feed.values(), strict=True))
    array = W.value
    for _ in range(3):
        ours(feed)
        theirs(fed)
    assert W.value is array, "it is the array that it was"
    np.testing.assert_allclose(array, W2.value, rtol=1e-5, atol=1e-6)
    W.value[:, 0] = 0.5
    W2.value[:, 0] = 0.5
    V.value = V.value * 2
    V2.value = V2.value * 2
    ours(feed)
    theirs(fed)
    np.testing.assert_allclose(W.value, W2.value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(V.value, V2.value, rtol=1e-5, atol=1e-6)
    # One who holds the array from before looks at it, and writes to it, without asking again.
    held = V.value
    ours(feed)
    theirs(fed)
    np.testing.assert_allclose(held, V2.value, rtol=1e-5, atol=1e-6)
    held[...] = 0.25
    V2.value[...] = 0.25
    ours(feed)
    theirs(fed)
    np.testing.assert_allclose(held, V2.value, rtol=1e-5, atol=1e-6)
    velocity = ours._optimizer.state["velocity.0"]
    np.testing.assert_allclose(velocity, theirs._optimizer.state["velocity.0"], rtol=1e-4)


def other_backends_see_what_was_trained() -> None:
    loss, feed, weights = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    still = {name: mf.compile(loss, backend=name) for name in ("numpy", "native", "jax")}
    for _ in range(3):
        step(feed)
        told = [still["numpy"](feed), still["native"](feed), still["jax"](feed)]
        told.append(mf.value(loss, feed))
        np.testing.assert_allclose(told, told[0], rtol=1e-5)
    mf.SGD(0.5).update(weights, mf.value_and_grad(loss, feed, weights)[1])
    np.testing.assert_allclose(still["jax"](feed), mf.value(loss, feed), rtol=1e-5)
    import copy
    import pickle

    step(feed)
    copied, read = copy.deepcopy(weights[0]), pickle.loads(pickle.dumps(weights[0]))
    np.testing.assert_array_equal(copied.value, weights[0].value)
    np.testing.assert_array_equal(read.value, weights[0].value)


def what_lies_on_the_device_stays_there() -> None:
    """No transfer of parameters from step to step, where nobody looks."""
    from miniflow import residence

    loss, feed, weights = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    step(feed)
    step(feed)
    for weight in weights:
        resident = residence.residents[id(weight._array)]
        assert resident.is_newer, weight
    before = weights[0]._array.copy()
    step(feed)
    np.testing.assert_array_equal(weights[0]._array, before)  # its numbers are older
    assert np.any(weights[0].value != before)


def no_array_of_jax_leaves() -> None:
    loss, feed, weights = network()
    step = mf.compile(loss, wrt=weights, optimizer=mf.SGD(0.1), backend="jax")
    value, gradients = step(feed)
    assert type(value) is np.float32
    assert all(type(g) is np.ndarray and g.flags.writeable for g in gradients)
    assert all(type(w.value) is np.ndarray for w in weights)
    assert type(step.epoch(dict(feed), [[0, 1]])) is np.ndarray


# What the user has set, and threads.


def the_users_own_setting_is_left_alone() -> None:
    import jax.numpy as jnp

    assert not jax.config.jax_enable_x64
    x = mf.Input("x")
    f = mf.compile(mf.Sum(x * x), wrt=[x], backend="jax")
    found: list[Any] = []

    def run() -> None:
        found.append((f({x: np.array([1e-9, 1.0])})[0], jnp.zeros(1, dtype=float).dtype))

    run()
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert all(type(value) is np.float64 and value == 1.0 + 1e-18 for value, _ in found)
    assert {dtype for _, dtype in found} == {np.dtype(np.float32)}


def whole_numbers_of_64_bits_are_exact() -> None:
    n = mf.Input("n")
    f = mf.compile(n * 3 + 1, backend="jax")
    large = np.array([2**60 + 1, -5])
    np.testing.assert_array_equal(f({n: large}), large * 3 + 1)
    assert f({n: 2**70}) == 3 * 2**70 + 1  # Python's own


# What goes wrong.


def bad_indices_are_told() -> None:
    table, ids = mf.Parameter(np.arange(12.0).reshape(4, 3), "table"), mf.Input("ids")
    loss = mf.Sum(mf.Embedding(ids, table, name="rows"))
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    step({ids: np.array([0, 3])})
    before = table.value.copy()
    with fails(mf.MiniflowError, "rows", "4"):
        step({ids: np.array([0, 4])})
    np.testing.assert_array_equal(table.value, before)
    # Computed in the program, where nothing can be looked at beforehand.
    W, x = mf.Parameter(np.array([1.0, 2.0, 3.0]), "W"), mf.Input("x")

    class Picked(mf.Op):
        def compute(self, w: Any, x: Any) -> Any:
            return w[np.argmax(x, axis=0) * 2]

        def gradient(self, grad: Any, w: Any, x: Any) -> Any:
            return grad * np.ones_like(w), None

    step = mf.compile(Picked(W, x), optimizer=mf.SGD(0.1), backend="jax")
    step({x: np.array([0.0, 1.0, 0.0])})
    before = W.value.copy()
    with fails(Exception, "out of bounds"):
        step({x: np.array([0.0, 0.0, 1.0])})
    np.testing.assert_array_equal(W.value, before)


def what_does_not_fit_an_integer_is_told() -> None:
    x = mf.Input("x")

    class Whole(mf.Op):
        def compute(self, x: Any) -> Any:
            return x.astype(np.int32)

    f = mf.compile(Whole(x), backend="jax")
    np.testing.assert_array_equal(f({x: np.array([-1.5, 3.9])}), [-1, 3])
    with fails(mf.CompileError, "does not fit"):
        f({x: np.array([1.0, 1e10])})


def what_is_not_finite_updates_nothing() -> None:
    loss, feed, weights = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
    step(feed)
    before = [w.value.copy() for w in weights]
    X = next(iter(feed))
    wrong = feed[X].copy()
    wrong[3, 2] = np.nan
    with fails(mf.MiniflowError, "nothing was updated", "'X'", "(3, 2)"):
        step({**feed, X: wrong})
    for weight, was in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight.value, was)
    step(feed)  # and goes on


# Randomness, loops, epochs.


def dropout_drops_the_same_entries() -> None:
    x, s = mf.Input("x"), mf.Seed("s")
    node = mf.Dropout(x, s, rate=0.5)
    feed = {x: np.ones((37, 11), np.float32), s: 123456789012345}
    np.testing.assert_array_equal(mf.compile(node, backend="jax")(feed), mf.value(node, feed))


def loops_over_time_stay_loops() -> None:
    rng = np.random.default_rng(0)
    X, h0 = mf.Input("X"), mf.Input("h0")
    U, W = (
        mf.Parameter(rng.normal(size=s).astype(np.float32), n)
        for s, n in [((3, 4), "U"), ((4, 4), "W")]
    )
    states = mf.scan(lambda h, x: mf.Tanh(x @ U + h @ W), h0, X)
    loss = mf.Mean(states**2)
    feed = {X: rng.normal(size=(6, 5, 3)).astype(np.float32), h0: np.zeros((5, 4), np.float32)}
    f = mf.compile(loss, wrt=[U, W, X], backend="jax")
    value, gradients = f(feed)
    expected, theirs = mf.value_and_grad(loss, feed, [U, W, X])
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for ours, wanted in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-6)
    assert "lax.scan" in f.source


def an_epoch_is_its_steps() -> None:
    rng = np.random.default_rng(5)
    order = [rng.permutation(64)[:16] for _ in range(6)] + [np.arange(5)]
    ends = []
    for backend in ("numpy", "jax"):
        loss, feed, weights = network()
        step = mf.compile(loss, optimizer=OPTIMIZERS["adam"](), backend=backend)
        losses = [step.epoch(feed, order), step.epoch(feed, order[:6])]
        ends.append([np.concatenate(losses), *(w.value.copy() for w in weights)])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def an_epoch_that_does_not_fit_is_handed_over_in_parts() -> None:
    from miniflow.backends.jax import devices, epochs

    order = np.random.default_rng(5).integers(0, 64, (7, 16))
    ends = []
    for held, chunk in ((2**31, 2**20), (0, 2 * 16 * 14 * 8)):
        devices.ON_A_CPU, epochs.CHUNK = held, chunk  # type: ignore[misc]
        loss, feed, weights = network()
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")
        ends.append([step.epoch(feed, order), *(w.value.copy() for w in weights)])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def an_epoch_ends_at_what_goes_wrong() -> None:
    order = np.arange(64).reshape(8, 8)
    for kind in ("number", "label"):
        told = []
        for backend in ("numpy", "jax"):
            loss, feed, weights = network()
            X, y, _ = feed
            data = {X: feed[X].copy(), y: feed[y].copy()}
            if kind == "number":
                data[X][26, 1] = np.inf
            else:
                data[y][26] = 9
            step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
            try:
                step.epoch(data, order)
            except mf.MiniflowError as error:
                notes = getattr(error, "__notes__", [])
                told.append((type(error), str(error), notes, [w.value.copy() for w in weights]))
        numpy, ours = told
        assert ours[:3] == numpy[:3], ours[:3]
        assert "3" in f"{ours[1]}{ours[2]}"
        for a, b in zip(ours[3], numpy[3], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# What is compiled is kept.


def compiled_code_is_kept_and_told_apart() -> None:
    import os
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        before = os.environ.get("MINIFLOW_CACHE")
        os.environ["MINIFLOW_CACHE"] = folder
        try:
            constants = [np.arange(900.0), np.arange(900.0) + (np.arange(900) == 450)]
            for round_ in range(2):
                for number, constant in enumerate(constants):
                    x = mf.Input("x")
                    f = mf.compile(mf.Sum(x * constant), backend="jax")
                    assert f({x: np.ones(900)}) == constant.sum()
                    kept = sorted((Path(folder) / "jax").iterdir())
                    assert len(kept) == (number + 1 if not round_ else 2)
            # The same code, called otherwise: a fed number, and a fed array.
            for number in (3.0, np.array(3.0)):
                x = mf.Input("x")
                assert mf.compile(x * np.float64(2.0), backend="jax")({x: number}) == 6.0
            kept[0].write_bytes(b"no such thing" * 9)
            x = mf.Input("x")
            for constant in constants:
                f = mf.compile(mf.Sum(x * constant), backend="jax")
                assert f({x: np.ones(900)}) == constant.sum()
        finally:
            os.environ.pop("MINIFLOW_CACHE")
            if before is not None:
                os.environ["MINIFLOW_CACHE"] = before


# Wherever a backend is named.


def training_and_estimators_take_it() -> None:
    loss, feed, weights = network(rows=96)
    X, y, _ = feed
    history = mf.fit(
        loss,
        {X: feed[X], y: feed[y]},
        mf.SGD(0.1),
        epochs=2,
        batch_size=32,
        rng=0,
        validation={X: feed[X], y: feed[y]},
        progress="none",
        backend=mf.JAX(),
    )
    other, fed, theirs = network(rows=96)
    X, y, _ = fed
    wanted = mf.fit(
        other,
        {X: fed[X], y: fed[y]},
        mf.SGD(0.1),
        epochs=2,
        batch_size=32,
        rng=0,
        validation={X: fed[X], y: fed[y]},
        progress="none",
        backend="numpy",
    )
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=1e-4)
    np.testing.assert_allclose(history["validation_loss"], wanted["validation_loss"], rtol=1e-4)
    for ours, weight in zip(weights, theirs, strict=True):
        np.testing.assert_allclose(ours.value, weight.value, rtol=1e-3, atol=1e-5)
    assert "jax" in history.why_backend()


def training_makes_many_steps_in_a_call() -> None:
    from miniflow import residence
    from miniflow.backends.jax import series

    class Seen(mf.Callback):
        def on_batch_end(self, training: Any) -> None:
            pass

    fetched: list[int] = []
    look = residence.Resident.look

    def counted(self: residence.Resident) -> None:
        fetched.extend([1] * self.is_newer)
        look(self)

    residence.Resident.look = counted  # type: ignore[method-assign]
    made: list[int] = []
    size_of = series._size
    series._size = lambda count: made.append(size_of(count)) or made[-1]  # type: ignore[assignment,func-returns-value]
    ends = []
    for backend, callbacks in (("numpy", []), ("jax", []), ("jax", [Seen()])):
        loss, feed, weights = network(rows=205)
        X, y, _ = feed
        options: Any = {"epochs": 2, "batch_size": 8, "rng": 3, "progress": "none"}
        history = mf.fit(
            loss,
            {X: feed[X], y: feed[y]},
            OPTIMIZERS["adam"](),
            backend=backend,
            callbacks=callbacks,
            **options,
        )
        ends.append([history["loss"], history["accuracy"], *(w.value.copy() for w in weights)])
        if backend == "jax":
            assert (max(made, default=0) >= 8) == (not callbacks), made
            # 26 steps an epoch, ten arrays: they come home between epochs, and not at each step.
            assert len(fetched) < 5 * 10 * 2, len(fetched)
            made.clear()
            fetched.clear()
    for numpy, many, single in zip(*ends, strict=True):
        np.testing.assert_allclose(many, single, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(many, numpy, rtol=2e-3, atol=2e-4)
    # What goes wrong in the middle of a call is told as if it had been alone.
    told = []
    for backend in ("numpy", "jax"):
        loss, feed, weights = network(rows=200)
        X, y, _ = feed
        images = feed[X].copy()
        images[150] = np.nan
        try:
            mf.fit(loss, {X: images, y: feed[y]}, mf.SGD(0.1), backend=backend, **options)
        except mf.MiniflowError as error:
            told.append((str(error), [w.value.copy() for w in weights]))
    assert told[0][0] == told[1][0]
    for ours, theirs in zip(told[1][1], told[0][1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def precisions_are_printed() -> None:
    loss, feed, _ = network()
    plain = mf.compile(loss, backend="jax")
    rough = mf.compile(loss, backend=mf.JAX(precision="bf16"))
    a, b = plain(feed), rough(feed)
    assert a != b
    np.testing.assert_allclose(a, b, rtol=0.05)
    assert "F32_F32_F32" in plain.source
    assert "BF16_BF16_F32" in rough.source
    with fails(mf.CompileError, "tf32"):
        mf.compile(loss, backend=mf.JAX(precision="tf32"))(feed)
    with fails(mf.CompileError, "devices=3000", "cpu"):
        mf.compile(loss, backend=mf.JAX(devices=3000))(feed)
    exact = mf.compile(loss, backend=mf.JAX(deterministic=True))
    assert exact(feed) == a


# Many devices: a process that has four of the CPU's.


def networks() -> Iterator[tuple[str, Any, dict[mf.Node, Any], list[mf.Parameter]]]:
    """An MLP with dropout, and a CNN with normalization over the batch."""
    loss, feed, weights = network()
    yield "mlp", loss, feed, weights
    rng = np.random.default_rng(3)
    images = rng.normal(size=(32, 8, 8, 1)).astype(np.float32)
    labels = rng.integers(0, 3, 32)
    X, y = mf.Input("X"), mf.Input("y")
    K = mf.Parameter(rng.normal(size=(3, 3, 1, 4)).astype(np.float32), "K")
    W = mf.Parameter(rng.normal(size=(36, 3)).astype(np.float32) * 0.1, "W")
    b = mf.Parameter(np.zeros(3, np.float32), "b")
    scale, shift = (mf.Parameter(np.full(4, v, np.float32)) for v in (1.0, 0.0))
    seen = mf.Conv2D(X, K, shift)
    centred = seen - mf.Mean(seen, axis=(0, 1, 2), keepdims=True)
    spread = mf.Sqrt(mf.Mean(centred**2, axis=(0, 1, 2), keepdims=True) + 1e-3)
    flat = mf.Flatten(mf.MaxPool(mf.ReLU(centred / spread * scale), 2))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(flat, W, b), y)
    yield "cnn", loss, {X: images, y: labels}, [K, W, b, scale, shift]


def devices_agree() -> None:
    order = np.random.default_rng(0).integers(0, 32, (3, 16))
    for one, many in zip(networks(), networks(), strict=True):
        name, loss, feed, weights = one
        _, other, fed, theirs = many
        still = mf.compile(loss, optimizer=mf.SGD(0.05, momentum=0.9), backend="numpy")
        step = mf.compile(
            other, optimizer=mf.SGD(0.05, momentum=0.9), backend=mf.JAX(devices="all")
        )
        a, b = [still(feed), still(feed)], [step(fed), step(fed)]
        if name == "mlp":
            a, b = [*a, *still.epoch(feed, order)], [*b, *step.epoch(fed, order)]
        np.testing.assert_allclose(b, a, rtol=2e-4, err_msg=name)
        for ours, weight in zip(theirs, weights, strict=True):
            np.testing.assert_allclose(ours.value, weight.value, rtol=1e-3, atol=1e-5)


def dropout_on_devices_is_the_same() -> None:
    x, s = mf.Input("x"), mf.Seed("s")
    node = mf.Dropout(x, s, rate=0.5)
    feed = {x: np.ones((40, 11), np.float32), s: 99}
    found = mf.compile(node, backend=mf.JAX(devices=4))(feed)
    np.testing.assert_array_equal(found, mf.value(node, feed))


def batches_are_divided_or_it_is_told() -> None:
    loss, feed, _ = network()
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=mf.JAX(devices=4))
    step(feed)
    (variant,) = step._variants.values()
    X, y, s = feed
    wheres = [where.spec for where in variant.executable.wheres]
    assert [tuple(spec) for spec in wheres] == [("rows",), ("rows",)], wheres
    with fails(mf.CompileError, "30 rows", "4 devices", "28"):
        step({X: feed[X][:30], y: feed[y][:30], s: 1})
    still = mf.compile(loss, backend=mf.JAX(devices=4))  # what updates nothing need not be divided
    assert np.isfinite(still({X: feed[X][:30], y: feed[y][:30]}))
    with fails(mf.CompileError, "devices=5", "4"):
        mf.compile(loss, backend=mf.JAX(devices=5))(feed)


def a_forked_process_is_told() -> None:
    import os

    loss, feed, _ = network()
    step = mf.compile(loss, backend="jax")
    step(feed)
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        try:
            step(feed)
        except mf.CompileError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"fork" in os.read(read, 1000)
