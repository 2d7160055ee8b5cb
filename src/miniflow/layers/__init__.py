"""Layers: nodes together with the parameters that they need, named and of the right shape.

    from miniflow import layers

    X, y, seed = layers.Input((784,), name="X"), mf.Input("y"), mf.Seed()
    network = layers.Sequential([
        layers.Reshape((28, 28, 1)),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPool(),
        layers.Flatten(),
        layers.Dropout(0.5, seed),
        layers.Dense(10, name="logits"),
    ], rng=0)
    loss = mf.CrossEntropyWithSoftmax(network(X), y)

A layer is a description. Called on a node, it makes its parameters in the shapes that fit there and
returns an ordinary node; called again, it makes another node of the same parameters. Nothing is
hidden: `mf.Linear(X, W, b)` is what a `Dense` comes to, and layers and nodes can be mixed at will.

A layer has to know how many features it gets. An `Input` is told, and what follows from it is found
by a forward pass over an example of zeros (`example_shapes`).

Names: the first `Dense` on the way from the inputs is "dense1", its parameters are "dense1/W" and
"dense1/b", its activation is "dense1/relu"; pictures draw these four as one group. Two branches
that meet again may so get the same names: give names there.

Nothing is switched between training and inference. A `Dropout` drops where its seed is fed, as
`fit` does, and does nothing elsewhere; a `BatchNorm` takes the statistics of the batch there.

Here: `base` has what all layers share, `Input` and `Sequential`; `weighted`, `convolving`,
`recurrent` and `attending` the layers that learn, `plain` those that do not; `named` the
activations and initialisers that go by a name; `writers` the networks that write.
"""

from miniflow.graph.checks import tell_wrong_calls
from miniflow.layers.attending import MultiHeadAttention, RMSNorm, TiedDense, TransformerBlock
from miniflow.layers.base import Input, Layer, Sequential
from miniflow.layers.convolving import Conv1D, Conv2D, ConvTranspose2D, DepthwiseConv2D
from miniflow.layers.plain import (
    Activation,
    AveragePool,
    Dropout,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    Reshape,
    Upsample,
)
from miniflow.layers.recurrent import GRU, LSTM, RNN
from miniflow.layers.weighted import BatchNorm, Dense, Embedding, LayerNorm
from miniflow.layers.writers import GPT, CharRNN

__all__ = [
    "GPT",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "AveragePool",
    "BatchNorm",
    "CharRNN",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool",
    "Input",
    "Layer",
    "LayerNorm",
    "MaxPool",
    "MultiHeadAttention",
    "RMSNorm",
    "Reshape",
    "Sequential",
    "TiedDense",
    "TransformerBlock",
    "Upsample",
]

_INSTEAD = {
    "input_shape": "layers.Input((784,)) says it, on which a layer is built",
    "input_dim": "layers.Input((784,)) says it, on which a layer is built",
    "in_features": "layers.Input((784,)) says it, on which a layer is built",
    "hidden_size": "write units=",
    "num_layers": "write depth=",
    "batch_first": "sequences are (n, T, features)",
    "return_state": "return_sequences=False returns the last state",
    "go_backwards": "bidirectional=True goes both ways; mf.Flip turns a sequence round",
    "kernel_size": "write size=",
    "pool_size": "write size=",
    "strides": "write stride=",
    "depth_multiplier": "write multiplier=",
    "input_length": "sequences may have any length",
    "num_embeddings": "write count=",
    "embedding_dim": "write units=",
    "output_dim": "write units=",
    "eps": "write epsilon=",
    "p": "write rate=",
    "seed": "write rng=",
    "use_bias": "a Dense has a bias; X @ mf.Parameter(W) has none",
}

for _name in set(__all__) - {"Input"}:  # a function
    tell_wrong_calls(globals()[_name], _INSTEAD)
