"""RNN, GRU and LSTM are what their formulas say, in every direction, depth and mask; and what
PyTorch's are, given its weights.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.errors import ShapeError
from miniflow.options import OptionError

KINDS: dict[str, Any] = {"RNN": layers.RNN, "GRU": layers.GRU, "LSTM": layers.LSTM}
DRAWN = np.random.default_rng(0)
XS = DRAWN.normal(size=(4, 5, 3))
LENGTHS = np.array([5, 2, 4, 1])
MASK = np.arange(5) < LENGTHS[:, None]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def step_of(kind: str, h: Any, c: Any, x: Any, p: Any, key: str) -> tuple[Any, Any]:
    """One step of one sequence, gate by gate."""
    u = len(h)
    items, said = x @ p[f"{key}W"] + p[f"{key}b"], h @ p[f"{key}U"]
    if kind == "RNN":
        return np.tanh(items + said), c
    if kind == "GRU":
        r, z = sigmoid(items[:u] + said[:u]), sigmoid(items[u : 2 * u] + said[u : 2 * u])
        new = np.tanh(items[2 * u :] + r * (said[2 * u :] + p[f"{key}recurrent_b"]))
        return (1 - z) * new + z * h, c
    i, f, g, o = np.split(items + said, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def by_hand(
    kind: str, xs: Any, p: Any, units: int, depth: int, ways: list[str], sequences: bool
) -> Any:
    """The value for one sequence."""
    for level in range(depth):
        found, last = [], []
        for way in ways:
            h, c, states = np.zeros(units), np.zeros(units), np.zeros((len(xs), units))
            for t in range(len(xs))[:: -1 if way else 1]:
                h, c = step_of(kind, h, c, xs[t], p, f"{level + 1}/{way}" if level else way)
                states[t] = h
            found.append(states)
            last.append(h)
        xs = np.concatenate(found, axis=-1)
    return xs if sequences else np.concatenate(last)


def with_other_values(layer: Any) -> dict[str, Any]:
    for key, parameter in layer.parameters.items():
        parameter.value[...] = np.random.default_rng(len(key)).normal(size=parameter.value.shape)
    return {key: parameter.value for key, parameter in layer.parameters.items()}


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize(
    ("depth", "bidirectional", "masked"),
    [(1, False, False), (1, True, True), (2, True, False), (2, False, True)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_layer_is_what_its_formula_says(
    kind: str, depth: int, bidirectional: bool, masked: bool, sequences: bool
) -> None:
    X = mf.Input("X", shape=(5, 3), dtype=np.float64)
    mask = mf.Input("mask", shape=(5,), dtype=bool)
    layer = KINDS[kind](
        4,
        return_sequences=sequences,
        mask=mask if masked else None,
        bidirectional=bidirectional,
        depth=depth,
        rng=0,
    )
    node = layer(X)
    values = with_other_values(layer)
    feed = {X: XS, **({mask: MASK} if masked else {})}
    seen = mf.value(node, feed)
    ways = ["", "reverse/"] if bidirectional else [""]
    for row, length, xs in zip(seen, LENGTHS if masked else [5] * 4, XS, strict=True):
        expected = by_hand(kind, xs[:length], values, 4, depth, ways, sequences)
        np.testing.assert_allclose(row[:length] if sequences else row, expected, rtol=1e-12)
    parameters = list(layer.parameters.values())
    value, gradients = mf.value_and_grad(mf.Sum(node**2), feed, [X, *parameters])
    compiled = mf.compile(mf.Sum(node**2), [X, *parameters], backend="numpy")
    ours, compiled_gradients = compiled(feed)
    np.testing.assert_allclose(ours, value, rtol=1e-12)
    for a, b in zip(compiled_gradients, gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    if masked:
        assert (gradients[0][~MASK] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences_and_of_the_native_backend(kind: str) -> None:
    X = mf.Input("X", shape=(5, 3), dtype=np.float64)
    mask = mf.Input("mask", shape=(5,), dtype=bool)
    layer, feed = KINDS[kind](3, mask=mask, bidirectional=True, rng=0), {X: XS, mask: MASK}
    node = layer(X)
    mf.check_gradients(mf.Sum(mf.Sin(node)), feed, [X, *layer.parameters.values()])
    _, expected = mf.value_and_grad(mf.Sum(node), feed, [X])
    _, seen = mf.compile(mf.Sum(node), [X], backend="native")(feed)
    np.testing.assert_allclose(seen[0], expected[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_layer_is_pytorchs_given_its_weights(kind: str) -> None:
    torch = pytest.importorskip("torch")
    units, depth = 4, 2
    theirs = getattr(torch.nn, kind)(
        3, units, num_layers=depth, bidirectional=True, batch_first=True, dtype=torch.float64
    )
    X = mf.Input("X", shape=(5, 3), dtype=np.float64)
    mask = mf.Input("mask", shape=(5,), dtype=bool)
    layer = KINDS[kind](units, return_sequences=True, bidirectional=True, depth=depth, mask=mask)
    node = layer(X)
    weights = {name: w.detach().numpy() for name, w in theirs.named_parameters()}
    for level in range(depth):
        for way, ending in (("", ""), ("reverse/", "_reverse")):
            key = layer.key(level, way)
            W, U, b, c = (
                weights[f"{name}_l{level}{ending}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            if kind == "GRU":  # the candidate hears the state's bias through its gate
                layer.parameters[f"{key}recurrent_b"].value[...] = c[2 * units :]
                c = np.concatenate([c[: 2 * units], np.zeros(units)])
            for name, value in (("W", W.T), ("U", U.T), ("b", b + c)):
                layer.parameters[key + name].value[...] = value
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(XS, requires_grad=True), torch.tensor(LENGTHS), True, enforce_sorted=False
    )
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    seen = mf.value(node, {X: XS, mask: MASK})
    np.testing.assert_allclose(seen[MASK], out.detach().numpy()[MASK], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_layer_learns_on_sequences_of_many_lengths_and_is_saved(kind: str, tmp_path: Path) -> None:
    """Whether there are more ones than zeros in words of 1 to 9 letters."""
    drawn = np.random.default_rng(1)
    words = [
        drawn.integers(0, 2, n).astype("f4")[:, None] for n in 1 + 2 * drawn.integers(0, 5, 200)
    ]
    answers = np.array([int(word.mean() > 0.5) for word in words])
    X, y = mf.Input("X", shape=(9, 1)), mf.Input("y")
    mask = mf.Input("mask", shape=(9,), dtype=bool)
    logits = layers.Dense(2, rng=1)(KINDS[kind](12, mask=mask, rng=0)(X))
    loss = mf.CrossEntropyWithSoftmax(logits, y)

    def batches(rng: np.random.Generator) -> Any:
        for values, there, rows in mf.datasets.padded(words, 50, shapes=2, rng=rng):
            yield {X: values, mask: there, y: answers[rows]}

    history = mf.fit(loss, batches, mf.Adam(0.02), epochs=25, rng=0, progress="none")
    assert history[-1].accuracy > 0.9
    values, there, rows = next(mf.datasets.padded(words, 200, shapes=1))
    mf.save(logits, tmp_path / "model.safetensors", inputs={X: values, mask: there})
    scores = mf.load(tmp_path / "model.safetensors")(values, there)
    assert np.mean(scores.argmax(1) == answers[rows]) > 0.9


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ShapeError, match=r"takes sequences, \(n, T, features\)"):
        layers.GRU(3)(mf.layers.Input((7,)))
    with pytest.raises(OptionError, match="GRU: mask is a node that is fed"):
        layers.GRU(3, mask=True)
    xs, ys = mf.Input("xs"), mf.Input("ys")
    both = mf.scan(lambda total, x, y: total + x * y, 0.0, [xs, ys])
    assert mf.value(both, {xs: np.array([1.0, 2.0]), ys: np.array([3.0, 4.0])}).tolist() == [3, 11]
    for run in (mf.value, lambda node, feed: mf.compile(node, backend="numpy")(feed)):
        with pytest.raises(ShapeError, match=r"sequences have shapes \(2,\), \(3,\)"):
            run(both, {xs: np.ones(2), ys: np.ones(3)})
