"""A node is no number, and no array: what NumPy and Python ask of one is refused, with the way out.

Without this NumPy would take a node for an object, wrap it in an array of one entry, and compute
something: `np.mean(node)` would be the node itself. So its three doors are held here: ufuncs,
functions, and the conversion to an array, which is also what it tries with a node in a list; and
the question for a dtype. And so are Python's: `float(x)`, `len(x)`, `for v in x`, `x // 2`.

NumPy does not let a node speak everywhere: `array[0] = x` and `array.fill(x)` fail with NumPy's own
words, of which these are the cause; `np.nditer(x)` fails before it asks; and to
`np.array_equal([x], [x])` any error means that they are not equal.
"""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from miniflow.errors import GraphError, OperandError
from miniflow.graph.operators import OPERATORS, WAYS
from miniflow.graph.places import called_in
from miniflow.graph.plans import passes_under_way

# What NumPy makes of `array + node`, which it does not tell from np.add(array, node).
_OF_OPERATORS: dict[Any, str] = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.true_divide: "/",
    np.power: "**",
    np.matmul: "@",
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
}


def _refusal_of(asked: str, way: str) -> Callable[..., NoReturn]:
    """A method that refuses what Python asks of a number or of a sequence."""

    def refuse(self: Any, *_: Any) -> NoReturn:
        written, name = _function_called(sys._getframe(1))
        if name:
            # No TypeError: from that NumPy would conclude that a node is something else.
            raise GraphError(_sentence(written, self, name))
        if passes_under_way:
            raise OperandError(
                f"a node was given where its value is wanted: x.value, where x is {self}."
            )
        raise OperandError(f"{self} is a node, {asked}: {way}.")

    return refuse


def _sentence(who: str, node: Any, name: str) -> str:
    """What is said of a function of NumPy's that was handed a node."""
    if passes_under_way:  # a node's own code is running
        return f"a node was given to NumPy: {who} wants its value, x.value, where x is {node}."
    return f"{who} takes numbers, and {node} is a node, which has none until a pass: {_way(name)}."


def _way(name: str) -> str:
    if name in WAYS:
        return f"write {WAYS[name]}"
    return (
        "build what you mean of miniflow's nodes (mf.Mean, mf.Exp, mf.Where and their like), "
        "or of one of your own (mf.Op), or compute with mf.value(x, feed_dict)"
    )


def _function_called(frame: Any) -> tuple[str, str]:
    """The function of NumPy's that the user's code has called, as it is written and its bare name;
    "NumPy" and "" where it cannot be told.
    """
    name, module = "", "numpy"
    while frame is not None and frame.f_code.co_filename.startswith(_NUMPYS_FILES):
        name, module = frame.f_code.co_name, frame.f_globals["__name__"]
        frame = frame.f_back
    called = called_in(frame) if not name and frame is not None else None
    if called is not None:
        name, module = getattr(called, "__name__", ""), str(getattr(called, "__module__", ""))
    for room in (np.linalg, np.fft, np):
        function = None if name.startswith("_") else getattr(room, name, None)
        if module.startswith(room.__name__) and function is not None and called in (None, function):
            return _written(room.__name__, name), name
    return "NumPy", ""


def _written(module: str, name: str) -> str:
    return f"{module.replace('numpy', 'np', 1)}.{name}"


_NUMPYS_FILES = tuple(np.__path__)


_number = _refusal_of(
    "which has no number until a pass",
    "build on it with mf.Sqrt(x), mf.Exp(x) and their like, or compute it with "
    "mf.value(x, feed_dict)",
)
_sequence = _refusal_of(
    "which is not iterable and has no length until a pass",
    "pick from it with x[0] or x[:, 1:], add it up with mf.Sum(x), or look at "
    "mf.value(x, feed_dict)",
)
_operator = _refusal_of(
    "and miniflow has no node for this operator",
    "build what you mean of + - * / @ ** and miniflow's nodes, or of a node of your own (mf.Op)",
)
_bits = _refusal_of(
    "and & | ^ ~ are for bits",
    "conditions are combined by mf.And(x, y), mf.Or(x, y) and mf.Not(x)",
)


class NoDtypeError(GraphError, RecursionError):
    """A node was given for a dtype, `np.zeros(3, x)`. Where NumPy asks what it is given for its
    dtype, it heeds no errors but those of recursion.
    """


def wants_a_dtype(frame: Any) -> bool:
    """Whether the code that runs in a frame is calling something of NumPy's: who asks a node for
    its dtype then is NumPy.
    """
    called = called_in(frame)
    if frame.f_code.co_filename.startswith(_NUMPYS_FILES):
        return called is np.dtype
    module = str(getattr(called, "__module__", ""))
    return module.startswith("numpy") or isinstance(getattr(called, "__self__", None), np.ndarray)


class NoNumber:
    """What `Node` inherits: it refuses to be taken for a number or an array."""

    __pandas_priority__ = 10_000  # of table * node: the node's operator goes before pandas's

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method != "__call__":
            name = f"{name}.{method}"
        elif not options and not isinstance(inputs[0], NoNumber):
            operator = _OF_OPERATORS.get(ufunc)
            if operator and called_in(sys._getframe(1)) is not ufunc:
                return OPERATORS[operator](*inputs)
        raise OperandError(_sentence(f"np.{name}", self, name))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        raise OperandError(_sentence(_written(str(function.__module__), name), self, name))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        written, name = _function_called(sys._getframe(1))
        raise OperandError(_sentence(written, self, name))

    __float__ = __int__ = __complex__ = __index__ = __round__ = __trunc__ = _number
    __floor__ = __ceil__ = _number
    __len__ = __iter__ = __contains__ = __reversed__ = _sequence
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _operator
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _operator
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = _bits

    def __bool__(self) -> bool:
        return True  # there is a node; a condition's truth is another matter (nodes/condition.py)

    def _lacks(self, attribute: str) -> str:
        """What is said of an attribute that arrays have, and nodes do not."""
        if passes_under_way:
            way = f"its value has: x.value.{attribute}, where x is this node"
        elif attribute in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize"):
            way = f"look at mf.value(x, feed_dict).{attribute}"
        else:
            way = _way({"T": "transpose"}.get(attribute, attribute))
        return f"{self} is a node, and has no .{attribute}: {way}."
