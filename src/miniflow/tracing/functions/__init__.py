"""What NumPy's functions (`np.sum`, `np.reshape`, `np.concatenate`, ...) do with traced values.

A function of NumPy's is answered by a function of the same name and signature: by primitives where
there is one, and by NumPy expressions on traced values where there is not. `registry.py` finds the
answer; the other files are the answers, a family each.
"""

from miniflow.tracing.functions import (  # each registers its answers
    joining,
    loops,
    making,
    picking,
    products,
    questions,
    reductions,
    shapes,
)
from miniflow.tracing.functions.making import full
from miniflow.tracing.functions.registry import FUNCTIONS, call_function

__all__ = [
    "FUNCTIONS", "call_function", "full",
    "joining", "loops", "making", "picking", "products", "questions", "reductions", "shapes",
]  # fmt: skip
