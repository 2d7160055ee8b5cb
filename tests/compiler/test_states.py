"""States: what a pass sets, the next one finds, however it is run; and nothing else sets them."""

import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import FeedError, GraphError, NotFiniteError
from miniflow.layers.summaries import summarize

EVERYWHERE = ("interpreter", "reference", "numpy", "native")


def runner(node, backend, **options):
    if backend == "interpreter":
        return lambda feed: mf.value(node, feed)
    return mf.compile(node, backend=backend, **options)


def running_mean(x, kept, momentum=0.5):
    mean = mf.Mean(x, axis=0)
    return mf.SetState(kept, momentum * kept + (1.0 - momentum) * mean, then=x - kept)


@pytest.mark.parametrize("backend", EVERYWHERE)
@pytest.mark.parametrize(
    "first",
    [np.zeros(3), np.zeros(3, np.float32), np.zeros(3, np.float16), np.zeros((2, 3), np.int64)],
    ids=["f64", "f32", "f16", "i64"],
)
def test_a_pass_reads_the_old_value_and_leaves_the_new_one(backend, first):
    x, kept = mf.Input("x"), mf.State(first, "kept")
    run = runner([kept, mf.SetState(kept, kept + x)], backend)
    for step in range(3):
        old, new = run({x: np.ones(3, first.dtype)})
        np.testing.assert_array_equal(old, first + step)
        np.testing.assert_array_equal(new, first + step + 1)
        np.testing.assert_array_equal(kept.value, first + step + 1)
        assert kept.value.dtype == first.dtype
        assert not np.shares_memory(new, kept.value)
        old[...] = new[...] = 77  # what was returned belongs to the caller


@pytest.mark.parametrize("backend", EVERYWHERE)
def test_numbers_and_booleans_are_kept_in_their_dtype(backend):
    x, count, seen = mf.Input("x"), mf.State(0, "count"), mf.State(False, "seen")
    node = mf.SetState(seen, mf.Or(seen, x > 1.0), then=mf.SetState(count, count + 1) * 1.0)
    run = runner(node, backend)
    for number in (0.0, 2.0, 0.0):
        run({x: number})
    assert (count.value.item(), count.value.dtype) == (3, np.int64)
    assert (seen.value.item(), seen.value.dtype) == (True, np.bool)


@pytest.mark.parametrize("backend", EVERYWHERE)
def test_a_cache_is_written_at_a_place_that_is_fed(backend):
    key, place, cache = mf.Input("key"), mf.Input("place"), mf.State(np.zeros((4, 2)), "cache")
    at = mf.Reshape(mf.Equal(mf.Constant(np.arange(4), "places"), place), (4, 1))
    written = mf.SetState(cache, mf.Where(at, key, cache))
    run = runner(mf.Sum(written, axis=0), backend)
    for i in range(3):
        total = run({key: np.full(2, i + 1.0), place: np.int64(i)})
    np.testing.assert_array_equal(cache.value[:, 0], [1, 2, 3, 0])
    np.testing.assert_array_equal(total, [6, 6])


@pytest.mark.parametrize("backend", ["interpreter", "numpy", "native"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_fit_sets_states_at_each_batch_and_evaluation_does_not(backend, accumulate):
    rng = np.random.default_rng(0)
    data, x, y = rng.normal(size=(12, 3)), mf.Input("x"), mf.Input("y")
    kept, W = mf.State(np.zeros(3), "kept"), mf.Parameter(np.zeros((3, 1)), "W")
    loss = mf.MSE(running_mean(x, kept) @ W, y)
    feed = {x: data, y: data[:, :1]}
    options = {"batch_size": 4, "progress": "none", "backend": backend}
    mf.fit(loss, feed, mf.SGD(0.0), epochs=1, accumulate=accumulate, validation=feed, **options)
    after = kept.value.copy()
    assert np.all(after != 0)
    mf.evaluate(loss, feed, backend=backend)
    mf.predict(loss.inbound_nodes[0], feed, backend=backend)
    mf.check_gradients(loss, feed)
    np.testing.assert_array_equal(kept.value, after)


@pytest.mark.parametrize("backend", EVERYWHERE)
def test_what_is_not_finite_sets_no_state(backend):
    x, W = mf.Input("x"), mf.Parameter(np.ones(3), "W")
    kept, count = mf.State(np.zeros(3), "kept"), mf.State(0, "count")
    centred = mf.SetState(count, count + 1, then=running_mean(x, kept))
    bad = np.array([[1.0, np.inf, 2.0]])
    run = runner(centred, backend)
    with pytest.raises(NotFiniteError, match=r"new value of State 'kept' .*, which SetState"):
        run({x: bad})
    assert count.value == 0
    assert not kept.value.any()
    if backend != "interpreter":
        loss = mf.Mean(centred * W)
        step = mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend)
        for wrong in (bad, bad * np.nan):
            with pytest.raises(NotFiniteError):
                step({x: wrong})
        assert count.value == 0
        assert not kept.value.any()
        assert (W.value == 1).all()
        step({x: np.ones((1, 3))})
        assert count.value == 1


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_a_loss_that_is_not_finite_leaves_finite_states_alone(backend, accumulate):
    x, W, count = mf.Input("x"), mf.Parameter([1.0], "W"), mf.State(0, "count")
    loss = mf.Mean(mf.SetState(count, count + 1, then=x) * W)
    data = np.ones((4, 1))
    data[3] = np.nan
    with pytest.raises(NotFiniteError):
        mf.fit(
            loss, {x: data}, mf.SGD(0.1), epochs=1, batch_size=4 // accumulate,
            accumulate=accumulate, progress="none", backend=backend,
        )  # fmt: skip
    assert count.value == 0


@pytest.mark.parametrize("backend", ["interpreter", "native"])
def test_a_training_that_is_resumed_has_the_same_states_to_the_bit(backend, tmp_path):
    rng = np.random.default_rng(1)
    data = rng.normal(size=(20, 3)).astype(np.float32)

    def made():
        x, y = mf.Input("x"), mf.Input("y")
        kept, count = mf.State(np.zeros(3, np.float32), "kept"), mf.State(0, "count")
        W = mf.Parameter(np.full((3, 1), 0.1, np.float32), "W")
        loss = mf.MSE(mf.SetState(count, count + 1, then=running_mean(x, kept, 0.9)) @ W, y)
        return loss, {x: data, y: data[:, :1]}

    def train(epochs, path, resume=False):
        loss, feed = made()
        mf.fit(
            loss, feed, mf.Adam(0.01), epochs=epochs, batch_size=7, rng=3, progress="none",
            backend=backend, checkpoint=path, resume=resume,
        )  # fmt: skip
        return loss

    whole = train(4, tmp_path / "a.safetensors")
    train(2, tmp_path / "b.safetensors")
    resumed = train(4, tmp_path / "b.safetensors", resume=True)
    for one, other in zip(mf.states(whole), mf.states(resumed), strict=True):
        assert one.value.tobytes() == other.value.tobytes()
        assert one.value.any()
    assert mf.parameters(whole)["W"].value.tobytes() == mf.parameters(resumed)["W"].value.tobytes()
    assert mf.states(whole)["count"].value == 12


def test_a_model_and_weights_hold_the_value_that_there_is(tmp_path):
    x, kept, count = mf.Input("x"), mf.State(np.ones(3), "kept"), mf.State(2, "count")
    node = mf.SetState(count, count + 1, then=running_mean(x, kept))
    feed = {x: np.zeros((2, 3))}
    mf.value(node, feed)
    mf.save(node, tmp_path / "m.safetensors")
    model = mf.load(tmp_path / "m.safetensors")
    for _ in range(2):  # a model sets nothing
        np.testing.assert_array_equal(model(feed[x]), np.full((2, 3), -0.5))
    assert [n.name for n in model.graph().parameters] == []
    mf.save_weights(node, tmp_path / "w.safetensors")
    kept.value, count.value = np.zeros(3), 0
    mf.load_weights(node, tmp_path / "w.safetensors")
    assert count.value == 3
    assert (kept.value == 0.5).all()


def test_a_state_is_constant_in_a_pass_and_no_parameter():
    W, kept = mf.Parameter(2.0, "W"), mf.State(3.0, "kept")
    node = mf.SetState(kept, kept * W)
    value, (dW, dk) = mf.value_and_grad(node, wrt=[W, kept])
    assert (value, dW, dk, kept.value) == (6.0, 3.0, 2.0, 6.0)
    assert mf.parameters(node).names == ["W"]
    assert mf.states(node).names == ["kept"]
    with pytest.raises(GraphError, match=r"is no weight"):
        kept.trainable = True
    with pytest.raises(GraphError, match=r"depends on no Parameter|no Parameter"):
        mf.fit(mf.Mean(kept * (x := mf.Input("x"))), {x: np.ones(3)}, mf.SGD(0.1))


def test_what_a_state_does_not_do_is_told():
    x, kept = mf.Input("x"), mf.State(np.zeros(2), "kept")
    once = mf.SetState(kept, kept + 1.0, name="once")
    twice = mf.SetState(kept, kept + 2.0, then=once, name="twice")
    for run in (lambda: mf.value(twice), lambda: mf.compile(twice)({})):
        with pytest.raises(
            GraphError, match=r"set twice in one pass, by SetState 'once' .*'twice'"
        ):
            run()
    wide = mf.SetState(kept, x)
    whole = mf.SetState(mf.State(0, "n"), x)
    for run in (mf.value, lambda node, feed: mf.compile(node)(feed)):
        with pytest.raises(GraphError, match=r"shape \(3,\), and it has the shape \(2,\)"):
            run(wide, {x: np.zeros(3)})
        with pytest.raises(GraphError, match=r"dtype int64, to float64: cast it"):
            run(whole, {x: np.float64(1.5)})
        with pytest.raises(GraphError, match=r"dtype uint8, to int64: cast it"):  # it would wrap
            run(mf.SetState(small := mf.State(np.uint8([250]), "small"), small + x), {x: 1})
        with pytest.raises(GraphError, match=r"dtype uint8, to 300 \(int\): cast it"):
            run(mf.SetState(mf.State(np.uint8(0)), 300), {})
        kept.value.flags.writeable = False
        with pytest.raises(GraphError, match=r"read-only, and a pass would set it"):
            run(once, {})
        kept.value = np.zeros(2)
        with pytest.raises(FeedError, match=r"is fed, and SetState 'once'"):
            run(once, {kept: np.zeros(2)})
    with pytest.raises(GraphError, match=r"in the step of a scan"):
        mf.value(mf.scan(lambda s, i: mf.SetState(kept, s + i), np.zeros(2), np.ones((3, 2))))
    with pytest.raises(GraphError, match=r"SetState sets a State"):
        mf.SetState(mf.Parameter(1.0), 2.0)
    with pytest.raises(GraphError, match=r"outside of one, state.value = value"):
        kept.set(np.zeros(2))
    assert not kept.value.any()


class Averaging(mf.Node):
    """Somebody's own node, with a running mean."""

    def __init__(self, x, kept):
        mf.Node.__init__(self, [x, kept])

    def forward(self):
        x, kept = self.inbound_nodes
        kept.set(0.5 * kept.value + 0.5 * np.mean(x.value, axis=0), self)
        self.value = x.value - kept.value

    def backward(self):
        grad = self.upstream_gradient()
        self.gradients = {
            self.inbound_nodes[0]: grad,
            self.inbound_nodes[1]: -np.sum(grad, axis=0),
        }


@pytest.mark.parametrize("backend", EVERYWHERE)
def test_a_node_of_ones_own_sets_a_state(backend):
    x, kept = mf.Input("x"), mf.State(np.zeros(3), "kept")
    run = runner(Averaging(x, kept), backend)
    for _ in range(3):
        run({x: np.ones((2, 3))})
    np.testing.assert_array_equal(kept.value, np.full(3, 0.875))


def test_threads_share_a_program_that_sets_a_state_one_after_the_other():
    x, count = mf.Input("x"), mf.State(0, "count")
    run = mf.compile(mf.SetState(count, count + 1, then=mf.Sum(x)))
    feed = {x: np.ones((8, 8))}
    run(feed)
    threads = [threading.Thread(target=lambda: [run(feed) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.value == 201


def test_copies_have_states_of_their_own_and_nothing_is_kept_alive():
    count = mf.State(0, "count")
    node = mf.SetState(count, count + 1)
    copied = pickle.loads(pickle.dumps(node))
    mf.value(copied)
    assert count.value == 0
    assert mf.states(copied)[0].value == 1
    run, seen = mf.compile(node), weakref.ref(node)
    run({})
    gc.disable()
    try:
        del node, run, copied
        assert seen() is None
    finally:
        gc.enable()


def test_a_state_is_in_pictures_and_summaries():
    X = mf.layers.Input((3,), name="X")
    node = running_mean(X, mf.State(np.zeros(3), "kept"))
    assert "kept" in mf.draw(node).svg()
    assert summarize(node).frozen == 3
