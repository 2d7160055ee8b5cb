"""BatchNorm: the formulas of Keras and PyTorch, a seed fed and not, and what becomes
of it in a model file.
"""

import re
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.errors import GraphError, ModelFileError, ShapeError
from miniflow.models import folding

RNG = np.random.default_rng(0)
BACKENDS = ("interpreter", "reference", "numpy", "native")


def norm_of(c: int, dtype: Any = np.float64, **options: Any) -> tuple[Any, ...]:
    x, seed = mf.Input("x"), mf.Seed()
    gain = mf.Parameter(RNG.normal(size=c).astype(dtype), "gain")
    shift = mf.Parameter(RNG.normal(size=c).astype(dtype), "shift")
    mean, variance = mf.State(np.zeros(c, dtype), "mean"), mf.State(np.ones(c, dtype), "variance")
    node = mf.BatchNorm(x, gain, shift, mean, variance, seed, **options)
    return node, x, seed, gain, shift, mean, variance


@pytest.mark.breadth("dtype", "backend")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda d: d.__name__)
@pytest.mark.parametrize("shape", [(1, 3), (6, 3), (2, 4, 3, 3)], ids=str)
def test_training_and_inference_are_the_formulas_of_keras(shape, dtype, backend):
    node, x, seed, gain, shift, mean, variance = norm_of(3, dtype, momentum=0.9, epsilon=1e-3)
    up = mf.DummyGrad(node)
    X = (2 * RNG.normal(size=shape) + 5).astype(dtype)
    G = RNG.normal(size=shape).astype(dtype)
    wrt = [x, gain, shift]
    if backend == "interpreter":
        run: Any = lambda feed: mf.value_and_grad(up, feed, wrt)  # noqa: E731
    else:
        run = mf.compile(up, wrt, backend=backend)
    limit = 1e-9 if dtype is np.float64 else 1e-4
    close: Any = {"rtol": limit, "atol": limit}
    axes = tuple(range(len(shape) - 1))
    wide, g, b = X.astype(float), gain.value.astype(float), shift.value.astype(float)
    m, v = wide.mean(axes), wide.var(axes)

    value, (dx, dgain, dshift) = run({x: X, seed: 0, up: G})
    z = (wide - m) / np.sqrt(v + 1e-3)
    np.testing.assert_allclose(value, g * z + b, **close)
    along, level = (G * z).mean(axes), G.astype(float).mean(axes)
    np.testing.assert_allclose(dx, g / np.sqrt(v + 1e-3) * (G - level - z * along), **close)
    np.testing.assert_allclose(dgain, (G * z).sum(axes), **close)
    np.testing.assert_allclose(dshift, G.sum(axes), **close)
    np.testing.assert_allclose(mean.value, 0.1 * m, **close)  # the biased variance, as Keras
    np.testing.assert_allclose(variance.value, 0.9 + 0.1 * v, **close)

    for other in ({}, {seed: -1}):  # inference
        value, (dx, dgain, _) = run({x: X, up: G, **other})
        z = (wide - mean.value) / np.sqrt(variance.value + 1e-3)
        np.testing.assert_allclose(value, g * z + b, **close)
        np.testing.assert_allclose(dx, g / np.sqrt(variance.value + 1e-3) * G, **close)
        np.testing.assert_allclose(dgain, (G * z).sum(axes), **close)
        np.testing.assert_allclose(mean.value, 0.1 * m, **close)
    assert (value.dtype, dx.dtype, mean.value.dtype) == (dtype, dtype, dtype)


def test_pytorchs_momentum_and_variance_follow_from_these():
    node, x, seed, _, _, mean, variance = norm_of(2, momentum=0.9, epsilon=1e-5)
    X = RNG.normal(size=(10, 2))
    mf.value(node, {x: X, seed: 0})
    np.testing.assert_allclose(mean.value, 0.1 * X.mean(0))
    torch_variance = 0.9 + 0.1 * X.var(0, ddof=1)
    np.testing.assert_allclose((variance.value - 0.9) * 10 / 9 + 0.9, torch_variance)


def test_one_number_a_channel_is_no_nan_and_equal_numbers_are_the_shift():
    node, x, seed, _, shift, _, variance = norm_of(2, momentum=0.0)
    value, (dx,) = mf.value_and_grad(node, {x: np.array([[7.0, 1e300]]), seed: 0}, [x])
    np.testing.assert_array_equal(value[0], shift.value)
    np.testing.assert_array_equal(dx, np.zeros((1, 2)))
    assert not variance.value.any()
    equal = mf.value(node, {x: np.full((3, 2), 0.1), seed: 1})
    np.testing.assert_array_equal(equal, np.tile(shift.value, (3, 1)))


def test_float16_keeps_its_statistics_in_float32():
    X = layers.Input((4,), name="X", dtype=np.float16)
    norm = layers.BatchNorm(seed := mf.Seed(), momentum=0.5)
    rows = (RNG.normal(size=(3000, 4)) * 30).astype(np.float16)
    value = mf.value(norm(X), {X: rows, seed: 0})
    assert (value.dtype, norm.parameters["gain"].value.dtype) == (np.float16, np.float16)
    kept = norm.states["variance"].value
    np.testing.assert_allclose(kept, 0.5 + 0.5 * rows.astype(float).var(0), rtol=1e-5)
    assert kept.dtype == np.float32


def network(seed: Any) -> Any:
    made = [
        layers.Conv2D(4, 3),
        layers.BatchNorm(seed, momentum=0.5),
        layers.Activation("relu"),
        layers.DepthwiseConv2D(3, multiplier=2),
        layers.BatchNorm(seed, momentum=0.5),
        layers.ConvTranspose2D(3, 2),
        layers.BatchNorm(seed, momentum=0.5),
        layers.Reshape((25, 3)),
        layers.Conv1D(3, 2),
        layers.BatchNorm(seed, momentum=0.5),
        layers.Flatten(),
        layers.Dense(3, name="logits"),
        layers.BatchNorm(seed, momentum=0.5, name="out"),
    ]
    return layers.Sequential(made, rng=0)


def test_a_model_has_it_folded_into_the_layer_before(tmp_path):
    X, y, seed = layers.Input((8, 8, 2), name="X"), mf.Input("y"), mf.Seed()
    net = network(seed)
    logits = net(X)
    images = (3 * RNG.normal(size=(32, 8, 8, 2)) + 5).astype("f4")
    loss = mf.CrossEntropyWithSoftmax(logits, y)
    labels = RNG.integers(3, size=32)
    mf.fit(loss, {X: images, y: labels}, mf.SGD(0.05), epochs=2, batch_size=8, progress="none")
    expected = mf.value(logits, {X: images})
    mf.save(logits, tmp_path / "m.safetensors")
    model = mf.load(tmp_path / "m.safetensors")
    np.testing.assert_allclose(model(images), expected, rtol=1e-4, atol=1e-5)
    names = [parameter.name for parameter in model.graph().parameters]
    assert not [name for name in names if "norm" in name]
    assert "sqrt" not in str(model.program_for(1))
    np.testing.assert_array_equal(
        mf.value(logits, {X: images}), expected
    )  # and the graph is as ever
    assert mf.evaluate(loss, {X: images, y: labels}).loss == pytest.approx(
        float(mf.value(loss, {X: images, y: labels})), rel=1e-5
    )
    text = mf.to_javascript(model)
    assert "sqrt" not in text.split("function run")[1]


def test_it_is_folded_only_where_nothing_else_reads_the_layer():
    x, seed = layers.Input((3,), name="x"), mf.Seed()
    dense = layers.Dense(3, rng=0)(x)
    shared = layers.BatchNorm(seed)(dense) + dense
    after = layers.BatchNorm(seed, name="after")(mf.ReLU(dense))
    alone = layers.BatchNorm(seed, name="alone")(x @ mf.Parameter(np.ones((3, 2), "f4"), "V"))
    rows = RNG.normal(size=(4, 3)).astype("f4")
    for node, is_folded in ((shared, False), (after, False), (alone, True)):
        inbound = list(node.inbound_nodes)
        expected = mf.value(node, {x: rows})
        with folding.fold_channels(node) as (output, _):
            assert (output is not node) == is_folded
            np.testing.assert_allclose(mf.value(output, {x: rows}), expected, rtol=1e-5, atol=1e-6)
        assert node.inbound_nodes == inbound


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    data = RNG.normal(size=(50, 5)).astype("f4")
    labels = (data[:, 0] > 0).astype(int)

    def train(epochs: int, path: Any, resume: bool) -> Any:
        X, y, seed = layers.Input((5,), name="X"), mf.Input("y"), mf.Seed()
        made = [layers.Dense(6), layers.BatchNorm(seed), layers.Dropout(0.3, seed), layers.Dense(2)]
        net = layers.Sequential(made, rng=0)
        loss = mf.CrossEntropyWithSoftmax(net(X), y)
        mf.fit(
            loss, {X: data, y: labels}, mf.Adam(0.01), epochs=epochs, batch_size=16, rng=1,
            checkpoint=path, resume=resume, progress="none",
            validation={X: data, y: labels}, callbacks=[mf.KeepBest()],
        )  # fmt: skip
        return [v.value.tobytes() for v in (*net.parameters.values(), *net.states.values())]

    whole = train(3, tmp_path / "a.safetensors", False)
    train(1, tmp_path / "b.safetensors", False)
    assert train(3, tmp_path / "b.safetensors", True) == whole


def test_what_does_not_fit_is_told():
    x, state, seed = mf.Input("x"), mf.State(np.zeros(3), "mean"), mf.Seed()
    with pytest.raises(GraphError, match="variance is a State"):
        mf.BatchNorm(x, np.ones(3), np.ones(3), state, np.ones(3), seed)
    node = mf.BatchNorm(x, np.ones(2), np.ones(3), state, mf.State(np.ones(3)), seed)
    with pytest.raises(ShapeError, match=r"has shape \(2,\); it must have shape \(3,\)"):
        mf.value(node, {x: np.ones((4, 3))})
    for shape in ((3,), (0, 3)):
        with pytest.raises(ShapeError, match="channels last"):
            mf.value(node, {x: np.ones(shape)})
    with pytest.raises(GraphError, match="whole number"):
        mf.value(node, {x: np.ones((2, 3)), seed: 0.5})
    frozen = layers.BatchNorm(-1)
    rows = layers.Input((3,), name="rows")
    mf.value(frozen(rows), {rows: np.ones((2, 3), "f4")})
    assert not frozen.states["mean"].value.any()


def test_weights_beside_it_are_updated_where_they_lie():
    X, seed = layers.Input((400,), name="X"), mf.Seed()
    made = [layers.Dense(300, rng=0), layers.BatchNorm(seed), layers.Activation("relu")]
    net = layers.Sequential([*made, layers.Dense(1, rng=1)])
    step = mf.compile(mf.Mean(net(X) ** 2), optimizer=mf.SGD(0.1), backend="native")
    step({X: RNG.normal(size=(128, 400)).astype("f4"), seed: 0})
    assert re.search(r"\n +(\w*W) = \1 \+ ", step.source)  # in the product itself


def test_folded_weights_are_not_taken_for_the_layers_own(tmp_path):
    def made():
        X, seed = layers.Input((4,), name="X"), mf.Seed()
        net = [layers.Dense(3), layers.BatchNorm(seed), layers.Dense(2)]
        return X, layers.Sequential(net, rng=0)(X)

    X, logits = made()
    mf.save(logits, tmp_path / "m.safetensors", inputs={X: np.zeros((1, 4), "f4")})
    with pytest.raises(
        ModelFileError, match=r"dense1/W.*'batchnorm1' folded into it; save_weights"
    ):
        mf.load_weights(made()[1], tmp_path / "m.safetensors")
    report = mf.load_weights(made()[1], tmp_path / "m.safetensors", strict=False)
    assert report.taken == ["dense2/W", "dense2/b"]
    assert list(report.misfits) == ["dense1/W", "dense1/b"]
