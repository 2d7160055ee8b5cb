"""The built-in nodes, one family a file; what holds for all of them is at the end of this one."""

from miniflow.graph import Constant, Input, Parameter
from miniflow.graph.checks import tell_wrong_calls
from miniflow.nodes.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from miniflow.nodes.arithmetic import Add, Div, Exp, Log, Mul, Neg, Pow, Sqrt, Sub
from miniflow.nodes.condition import (
    And,
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Not,
    NotEqual,
    Or,
)
from miniflow.nodes.convolution import Conv2D
from miniflow.nodes.dropout import Dropout, Seed
from miniflow.nodes.linear import Linear, MatMul
from miniflow.nodes.loss import MSE, BinaryCrossEntropy, CrossEntropyWithSoftmax, DummyGrad
from miniflow.nodes.normalization import LayerNorm
from miniflow.nodes.pooling import AveragePool, MaxPool
from miniflow.nodes.reduction import Max, Mean, Sum
from miniflow.nodes.shape import Concat, Flatten, Gather, GetItem, Reshape, Transpose, Where
from miniflow.nodes.stopping import StopGradient

__all__ = [
    "GELU",
    "MSE",
    "Add",
    "And",
    "AveragePool",
    "BinaryCrossEntropy",
    "Concat",
    "Conv2D",
    "CrossEntropyWithSoftmax",
    "Div",
    "Dropout",
    "DummyGrad",
    "Equal",
    "Exp",
    "Flatten",
    "Gather",
    "GetItem",
    "Greater",
    "GreaterEqual",
    "LayerNorm",
    "LeakyReLU",
    "Less",
    "LessEqual",
    "Linear",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Mul",
    "Neg",
    "Not",
    "NotEqual",
    "Or",
    "Pow",
    "ReLU",
    "Reshape",
    "Seed",
    "Sigmoid",
    "Softmax",
    "Sqrt",
    "StopGradient",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Where",
]

_INSTEAD = {  # keywords of other libraries
    "dim": "write axis=",
    "keepdim": "write keepdims=",
    "eps": "write epsilon=",
    "alpha": "write slope=",
    "negative_slope": "write slope=",
    "p": "write rate=",
    "kernel_size": "write size=",
    "pool_size": "write size=",
    "strides": "write stride=",
    "weight": "write class_weights=",
    "inplace": "a node leaves its inputs as they are",
    "shape": "an Input has the shape of what is fed; mf.layers.Input((784,)) says it beforehand",
    "trainable": "only a Parameter is trained: freeze that",
    "requires_grad": "wrt= says what gradients are asked for; a Parameter has trainable=",
    "dtype": "a node has the dtype of its values: x.astype(dtype)",
}

for _name in __all__:
    globals()[_name].widens_float16 = True
    tell_wrong_calls(globals()[_name], _INSTEAD)
for _class in (Input, Constant, Parameter):
    tell_wrong_calls(_class, _INSTEAD)
