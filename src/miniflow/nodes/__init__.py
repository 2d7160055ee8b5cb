"""The built-in nodes, one family a file."""

from miniflow.nodes.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from miniflow.nodes.arithmetic import Add, Div, Exp, Log, Mul, Neg, Pow, Sqrt, Sub
from miniflow.nodes.linear import Linear, MatMul
from miniflow.nodes.loss import MSE, BinaryCrossEntropy, CrossEntropyWithSoftmax, DummyGrad
from miniflow.nodes.reduction import Max, Mean, Sum
from miniflow.nodes.shape import Concat, Gather, GetItem, Reshape, Transpose, Where

__all__ = [
    "GELU",
    "MSE",
    "Add",
    "BinaryCrossEntropy",
    "Concat",
    "CrossEntropyWithSoftmax",
    "Div",
    "DummyGrad",
    "Exp",
    "Gather",
    "GetItem",
    "LeakyReLU",
    "Linear",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "Mean",
    "Mul",
    "Neg",
    "Pow",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Where",
]
