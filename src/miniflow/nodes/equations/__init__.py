"""Nodes that people seldom write and programs are full of: for each primitive that no other family
has a node for. With them, and with the others, a program becomes a graph (`models.lifting`).

Every node class that says `primitive = "add"` computes what that primitive computes, and is found
by that name (`graph.equations`). Those of this folder compute in NumPy's own dtypes: what they are
made for is recorded, and has its dtypes already.
"""

from miniflow.nodes.equations.entrywise import (
    ArcTan,
    Ceil,
    Expm1,
    Floor,
    FloorDivide,
    Hypot,
    IsFinite,
    IsNaN,
    Log1p,
    Remainder,
    Round,
)
from miniflow.nodes.equations.making import Arange, BroadcastTo, Cast, Full
from miniflow.nodes.equations.parts import (
    GatherAlong,
    Scatter,
    ScatterAdd,
    SliceAdd,
    SliceUpdate,
    Windows,
)
from miniflow.nodes.equations.reductions import AllTrue, AnyTrue, ArgMax, ArgMin, Gemm, Min
from miniflow.nodes.equations.whole_numbers import (
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    LeftShift,
    RightShift,
)

__all__ = [
    "AllTrue",
    "AnyTrue",
    "Arange",
    "ArcTan",
    "ArgMax",
    "ArgMin",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BroadcastTo",
    "Cast",
    "Ceil",
    "Expm1",
    "Floor",
    "FloorDivide",
    "Full",
    "GatherAlong",
    "Gemm",
    "Hypot",
    "IsFinite",
    "IsNaN",
    "LeftShift",
    "Log1p",
    "Min",
    "Remainder",
    "RightShift",
    "Round",
    "Scatter",
    "ScatterAdd",
    "SliceAdd",
    "SliceUpdate",
    "Windows",
]

WITH_A_DTYPE = {"Arange", "Cast", "Full"}  # whose dtype is what they are asked for
