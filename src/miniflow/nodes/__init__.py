"""The built-in nodes, one family a file."""

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
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Where",
]

for _name in __all__:
    globals()[_name].widens_float16 = True
