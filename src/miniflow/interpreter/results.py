"""What a node's own code has left, checked: a value, gradients, or an error."""

import re
import sys
from typing import Any

import numpy as np

from miniflow.errors import GradientError, GraphError, NodeError, ShapeError
from miniflow.graph import Node, Op
from miniflow.graph.values import describe, shape_of
from miniflow.interpreter.cut_fractions import fractions_told

_FLOAT = np.dtype(np.float64)


def see_to_value(node: Node) -> None:
    """See that the value which a node of somebody's own class has left is a real number, or an
    array of them.

    What is derived from NumPy's arrays becomes one: the `*` of an `np.matrix` is another.
    """
    value = node.value
    if type(value) is float or (type(value) is np.ndarray and value.dtype.kind in "fiub"):
        return
    if value is None:
        raise value_not_set(node)
    if not is_real(value):
        raise GraphError(f"{node}: the value is {_kind(value)}")
    if issubclass(type(value), np.ndarray) and type(value) is not np.ndarray:
        node.value = np.asarray(value)


def see_to_gradients(node: Node) -> None:
    """See that the gradients which a node of somebody's own class has left are real, too."""
    for source, grad in node.gradients.items():
        if type(grad) is not float and not is_real(grad):
            raise GradientError(f"{node}: the gradient for {source} is {_kind(grad)}")


def is_real(value: Any) -> bool:
    """Whether it is a real number, or an array of real numbers, none of them under a mask."""
    if type(value) is np.ndarray:  # nearly always
        return value.dtype.kind in "fiub"
    if isinstance(value, (float, int, np.generic, np.ndarray)):
        masked = sys.modules.get("numpy.ma")
        is_masked = masked is not None and isinstance(value, masked.MaskedArray)
        return getattr(value, "dtype", _FLOAT).kind in "fiub" and not is_masked
    return False


def _kind(value: Any) -> str:
    """The end of a sentence: what a value is that is no value."""
    if isinstance(value, Node):
        return "a node; compute with values: x.value, where x is a node."
    if type(value).__name__ == "MaskedArray":
        return "a masked array; fill it: v.filled(0.0)."
    if isinstance(value, complex) or getattr(value, "dtype", _FLOAT).kind == "c":
        return f"{describe(value)}, which is complex; values are real: v.real, or np.abs(v)."
    if isinstance(value, (list, tuple)):
        return f"{describe(value)}; make an array of it: np.array(...)."
    return f"{describe(value)}; it must be a real number, or an array of them."


def value_not_set(node: Node) -> GraphError:
    """The error for a node whose `forward`, or `compute`, was run and left no value."""
    if type(node).forward is Op.forward:
        return GraphError(f"{node}: compute() returned nothing; it must return the value.")
    return GraphError(f"{node}: forward() did not set self.value.")


# What NumPy says of `dx += 0.5 * grad`, if dx holds integers.
_FRACTION_INTO_WHOLE_NUMBERS = re.compile(
    r"Cannot cast ufunc '\w+' output from dtype\('(float\d+)'\) to dtype\('(u?int\d+|bool)'\)"
)


def node_failed(node: Node, method: str, error: Exception) -> GraphError:
    """The error for a node whose own code raised: with the node, and the shapes that it saw."""
    for source in node.inbound_nodes:
        if source.value is None:  # the mistake is there, and only its consumer noticed
            return value_not_set(source)
    shapes = [(source.label, shape_of(source.value)) for source in node.inbound_nodes]
    of_shapes = method == "forward" and isinstance(error, (ValueError, IndexError))
    if of_shapes and isinstance(node, Op) and node.expects and _refuses_ones(node):
        seen = " and ".join(f"{label} of shape {shape}" for label, shape in shapes)
        return ShapeError(f"{node} got {seen}; it takes {node.expects}.")
    seen = ", ".join(f"{label} {shape}" for label, shape in shapes)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    told = f"failed with {reason.rstrip('.')}."
    if cast := _FRACTION_INTO_WHOLE_NUMBERS.search(reason):
        told = fractions_told(cast[1], cast[2])
    return NodeError(
        f"{node}: {method}() {told}" + (f" Shapes of its inputs: {seen}." if seen else "")
    )


def _refuses_ones(node: Op) -> bool:
    """Whether it is the shapes that a node cannot compute with: ones in them fail as well."""
    values = [source.value for source in node.inbound_nodes]
    ones = [np.ones(shape_of(value), getattr(value, "dtype", _FLOAT)) for value in values]
    try:
        node.compute(*(array if array.shape else array[()] for array in ones))
    except (ValueError, IndexError):
        return True
    except Exception:  # another trouble than that of the pass
        return False
    return False
