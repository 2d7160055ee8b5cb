"""Embedding, Conv1D, DepthwiseConv2D, ConvTranspose2D, GlobalAveragePool and Upsample as layers:
what they build, that it learns, and that it is saved.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.options import OptionError

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 8, 8, 2)).astype("f4")
SEQUENCES = RNG.normal(size=(6, 9, 3)).astype("f4")
WORDS = RNG.integers(0, 11, (6, 5))

NETWORKS: dict[str, tuple[Any, list[Any], dict[str, tuple[int, ...]]]] = {
    "Embedding": (
        WORDS,
        [layers.Embedding(11, 4), layers.Flatten()],
        {"embedding1/W": (11, 4)},
    ),
    "Conv1D": (
        SEQUENCES,
        [layers.Conv1D(4, 3, "silu", padding="same", groups=1), layers.GlobalAveragePool()],
        {"conv1/W": (3, 3, 4), "conv1/b": (4,)},
    ),
    "DepthwiseConv2D": (
        IMAGES,
        [layers.DepthwiseConv2D(3, "elu", multiplier=2), layers.Flatten()],
        {"conv1/W": (3, 3, 2, 2), "conv1/b": (4,)},
    ),
    "ConvTranspose2D": (
        IMAGES,
        [
            layers.MaxPool(),
            layers.ConvTranspose2D(5, 3, stride=2, padding="same"),
            layers.Flatten(),
        ],
        {"conv1/W": (3, 3, 5, 2), "conv1/b": (5,)},
    ),
    "Upsample": (
        IMAGES,
        [layers.Conv2D(2, 3), layers.Upsample((2, 1)), layers.GlobalAveragePool()],
        {"conv1/W": (3, 3, 2, 2), "conv1/b": (2,)},
    ),
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_network_of_the_layer_learns_and_is_saved(name: str, tmp_path: Path) -> None:
    fed, row, shapes = NETWORKS[name]
    X, y = layers.Input(fed.shape[1:], dtype=fed.dtype), mf.Input("y")
    network = layers.Sequential([*row, layers.Dense(3, name="logits")], rng=0)
    logits = network(X)
    assert {k: p.value.shape for k, p in network.parameters.items() if "logits" not in k} == shapes
    assert all(p.value.dtype == np.float32 for p in network.parameters.values())
    loss = mf.CrossEntropyWithSoftmax(logits, y)
    data = {X: fed, y: np.arange(6) % 3}
    before = [p.value.copy() for p in network.parameters.values()]
    history = mf.fit(loss, data, mf.Adam(0.02), epochs=30, batch_size=6, progress="none", rng=0)
    assert history[-1].loss < 0.7 * history[0].loss
    assert all(
        (p.value != v).any() for p, v in zip(network.parameters.values(), before, strict=True)
    )
    mf.save(logits, tmp_path / "model.safetensors")
    saved = mf.load(tmp_path / "model.safetensors")(fed)
    np.testing.assert_allclose(saved, mf.value(logits, {X: fed}), rtol=1e-4, atol=1e-5)


def test_first_kernels_are_of_a_size_that_fits_what_they_see() -> None:
    X = layers.Input((8, 8, 64))
    depthwise = layers.DepthwiseConv2D(3, "relu", rng=0)
    depthwise(X)
    assert depthwise.parameters["W"].value.var() == pytest.approx(2 / 9, rel=0.2)
    transposed = layers.ConvTranspose2D(8, 3, "relu", rng=0)
    transposed(X)
    assert transposed.parameters["W"].value.var() == pytest.approx(2 / (9 * 64), rel=0.1)
    embedding = layers.Embedding(500, 16, rng=0)
    embedding(layers.Input((3,), dtype=np.int64))
    lengths = np.linalg.norm(embedding.parameters["W"].value, axis=1)
    assert lengths.mean() == pytest.approx(1, rel=0.05)


def test_embedding_of_fractions_says_where_to_say_that_they_are_whole() -> None:
    with pytest.raises(OptionError, match=r"mf\.layers\.Input\(\(5,\), dtype=np\.int64\)"):
        layers.Embedding(10, 4)(layers.Input((5,), name="words"))


@pytest.mark.parametrize("name", ["silu", "elu", "softplus", "hard_sigmoid"])
def test_activations_go_by_their_names(name: str) -> None:
    node = layers.Dense(3, name)(layers.Input((4,)))
    assert node.name == f"dense1/{name}"
