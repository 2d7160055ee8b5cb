"""The built-in nodes, one family a file; what holds for all of them is at the end of this one."""

from miniflow.graph import Constant, Input, Parameter, State
from miniflow.graph.checks import tell_wrong_calls
from miniflow.nodes import equations
from miniflow.nodes.accumulation import CumSum, Prod
from miniflow.nodes.activation import (
    ELU,
    GELU,
    HardSigmoid,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from miniflow.nodes.arithmetic import Add, Div, Exp, Log, Mul, Neg, Pow, Sqrt, Sub
from miniflow.nodes.arranging import Flip, Pad, Roll, Split, Stack
from miniflow.nodes.attention import ScaledDotProductAttention
from miniflow.nodes.batch_norm import BatchNorm
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
from miniflow.nodes.convolution import Conv1D, Conv2D
from miniflow.nodes.distance import L1, CosineSimilarity, Huber, KLDivergence
from miniflow.nodes.dropout import Dropout, Seed
from miniflow.nodes.embedding import Embedding
from miniflow.nodes.equations import *  # noqa: F403 (found here, and not in `__all__`)
from miniflow.nodes.linear import Linear, MatMul
from miniflow.nodes.loss import MSE, BinaryCrossEntropy, CrossEntropyWithSoftmax, DummyGrad
from miniflow.nodes.magnitude import Abs, Clip, Maximum, Minimum, Sign
from miniflow.nodes.normalization import LayerNorm, RMSNorm
from miniflow.nodes.other_convolutions import ConvTranspose2D, DepthwiseConv2D
from miniflow.nodes.pooling import AveragePool, GlobalAveragePool, MaxPool
from miniflow.nodes.reduction import Max, Mean, Sum
from miniflow.nodes.setting import SetState
from miniflow.nodes.shape import Concat, Flatten, Gather, GetItem, Reshape, Transpose, Where
from miniflow.nodes.stopping import StopGradient
from miniflow.nodes.trigonometry import Cos, Sin
from miniflow.nodes.upsampling import Upsample

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "MSE",
    "Abs",
    "Add",
    "And",
    "AveragePool",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Clip",
    "Concat",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Cos",
    "CosineSimilarity",
    "CrossEntropyWithSoftmax",
    "CumSum",
    "DepthwiseConv2D",
    "Div",
    "Dropout",
    "DummyGrad",
    "Embedding",
    "Equal",
    "Exp",
    "Flatten",
    "Flip",
    "Gather",
    "GetItem",
    "GlobalAveragePool",
    "Greater",
    "GreaterEqual",
    "HardSigmoid",
    "Huber",
    "KLDivergence",
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
    "Maximum",
    "Mean",
    "Minimum",
    "Mul",
    "Neg",
    "Not",
    "NotEqual",
    "Or",
    "Pad",
    "Pow",
    "Prod",
    "RMSNorm",
    "ReLU",
    "Reshape",
    "Roll",
    "ScaledDotProductAttention",
    "Seed",
    "SetState",
    "SiLU",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softmax",
    "Softplus",
    "Split",
    "Sqrt",
    "Stack",
    "StopGradient",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Upsample",
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
    "shape": "a node has the shape of its value",
    "trainable": "only a Parameter is trained: freeze that",
    "requires_grad": "wrt= says what gradients are asked for; a Parameter has trainable=",
    "dtype": "a node has the dtype of its values: x.astype(dtype)",
}

for _name in (*__all__, *equations.__all__):
    globals()[_name].widens_float16 = _name not in equations.WITH_A_DTYPE
    tell_wrong_calls(globals()[_name], _INSTEAD)
for _class in (Input, Constant, Parameter, State):
    tell_wrong_calls(_class, _INSTEAD)
