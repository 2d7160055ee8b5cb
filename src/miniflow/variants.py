"""One compiled program, and how what is fed becomes its arguments: quickly, since it happens at
every call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow import autodiff
from miniflow.backends import Executable
from miniflow.comparing import interpreters_feed
from miniflow.graph import Constant, Node, Op, Parameter
from miniflow.ir.dtypes import DTYPES, ValueType, type_of
from miniflow.ir.program import Program
from miniflow.plans import ancestors_in_order
from miniflow.tracing.keeping import preserved_deeply

_PYTHON_TYPES = {"bool": bool, "i64": int, "f64": float}


class Variant:
    """The program for one combination of shapes and dtypes.

    Attributes:
        program: what runs.
        executable: what runs it.
        checks: called with the feed before each run: they refuse values that would go wrong.
        key: the combination.
        has_unchecked: whether there are more such values, which are computed with parameters.
        is_python: whether it computes with Python's numbers alone, of which NumPy never warns.
    """

    def __init__(
        self,
        program: Program,
        executable: Executable,
        order: Sequence[Node],
        feed: Mapping[Node, Any],
        types: Mapping[Node, ValueType],
        optimizer: Any,
    ) -> None:
        self.program = program
        self.executable = executable
        self.key: Any = None
        self.is_python = all(e.result.type.kind == "python" for e in program.equations)
        self.checks, self.has_unchecked = _checks(order, feed, types)
        self._optimizer = optimizer
        self._fed_count = len(feed)
        self._fed: list[tuple[int, Node, Any, Any, tuple[int, ...]]] = []
        self._parameters: list[tuple[int, Parameter]] = []
        self._state: list[tuple[int, str]] = []
        self._rates: list[int] = []
        self._types = [entry.variable.type for entry in program.inputs]
        for place, entry in enumerate(program.inputs):
            type_, index = entry.variable.type, -1 if entry.origin is None else entry.origin.index
            if entry.role == "fed":
                self._fed.append((place, order[index], *_expected(type_)))
            elif entry.role == "parameter":
                self._parameters.append((place, order[index]))  # type: ignore[arg-type]
            elif entry.role == "state":
                self._state.append((place, str(entry.variable.name)))
            else:
                self._rates.append(place)
        is_updated = {output.replaces for output in program.outputs}
        self._updated = [
            place for place, entry in enumerate(program.inputs) if entry.variable in is_updated
        ]
        self._updated_ids: set[int] = set()
        self._template: list[Any] = [None] * len(program.inputs)
        self._settings = [] if optimizer is None else _settings(optimizer)

    def arguments(self, feed: Mapping[Node, Any]) -> list[Any] | None:
        """The arguments for this feed; None where a shape or a dtype is another."""
        if len(feed) != self._fed_count:
            return None
        for name, setting in self._settings:
            if not self._is_set(name, setting):
                return None
        values = self._template[:]
        for place, parameter in self._parameters:
            values[place] = array = parameter._array
            if array is not self._template[place] and not self._accept(place, array):
                return None
        for place, key in self._state:
            values[place] = array = self._optimizer.state.get(key)
            if array is not self._template[place] and not self._accept(place, array):
                return None
        for place in self._rates:
            rate = self._optimizer.lr
            if type(rate) is not float and not isinstance(rate, (int, float)):
                return None
            values[place] = float(rate)
        for place, node, kind, dtype, shape in self._fed:
            value: Any = feed.get(node)
            if type(value) is not kind:
                return None
            if kind is np.ndarray:
                if value.dtype != dtype or value.shape != shape:
                    return None
                flags = value.flags
                if not (flags.c_contiguous and flags.aligned) or self._is_updated_too(
                    value, values
                ):
                    value = np.array(value, order="C")
            values[place] = value
        return values

    def _is_set(self, name: str, value: Any) -> bool:
        """Whether the optimizer's setting is still the one that is written into the program."""
        now = self._optimizer.__dict__.get(name)
        return now is value or (name != "_lr" and repr(now) == repr(value))

    def _accept(self, place: int, array: Any) -> bool:
        """Take another array for a parameter or a piece of state, if it is one of the same type."""
        if not isinstance(array, np.ndarray) or type_of(array) != self._types[place]:
            return False
        self._template[place] = array
        self._updated_ids = {id(self._template[i]) for i in self._updated}
        return True

    def _is_updated_too(self, value: Any, values: list[Any]) -> bool:
        """Whether what is fed is (part of) an array that the program updates in place."""
        if value.base is None:  # it looks at nobody else's memory
            return id(value) in self._updated_ids
        return any(np.may_share_memory(value, values[place]) for place in self._updated)


def _expected(type_: ValueType) -> tuple[type, Any, tuple[int, ...]]:
    """What a fed value must be: its Python type, and for arrays dtype and shape."""
    if type_.kind == "python":
        return _PYTHON_TYPES[type_.dtype], None, ()
    dtype = DTYPES[type_.dtype]
    return (np.ndarray if type_.kind == "array" else dtype.type), dtype, type_.shape


class _Shaped:
    """Stands for a computed value where only its shape is looked at."""

    def __init__(self, type_: ValueType) -> None:
        self.shape = type_.shape
        self.ndim = len(type_.shape)
        self.dtype = DTYPES[type_.dtype]


Check = Callable[[Mapping[Node, Any]], None]


def _checks(
    order: Sequence[Node], feed: Mapping[Node, Any], types: Mapping[Node, ValueType]
) -> tuple[list[Check], bool]:
    """The `validate` of every node that has one, for labels and indices (the first input is data)
    that follow from what is fed alone; and whether there are others, which are not looked at.
    """
    validating = [node for node in order if isinstance(node, Op) and node._validates]
    known = [node for node in validating if all(_is_data(n, feed) for n in node.inbound_nodes[1:])]
    return [_check_of(node, types) for node in known], len(known) < len(validating)


def _is_data(node: Node, feed: Mapping[Node, Any]) -> bool:
    """Whether no parameter has a part in it."""
    return not any(isinstance(n, Parameter) and n not in feed for n in ancestors_in_order(node))


def _check_of(node: Op, types: Mapping[Node, ValueType]) -> Check:
    first, *others = node.inbound_nodes
    data = _Shaped(types[first])
    values = [_value_from(other) for other in others]

    def check(feed: Mapping[Node, Any]) -> None:
        node.validate(feed.get(first, data), *(value(feed) for value in values))

    return check


def _value_from(node: Node) -> Callable[[Mapping[Node, Any]], Any]:
    """How a node's value follows from what is fed: mostly it is what is fed."""
    if isinstance(node, Constant):
        return lambda feed: feed.get(node, node._kept)
    if not node.inbound_nodes:
        return lambda feed: feed[node]
    order = ancestors_in_order(node)

    def interpreted(feed: Mapping[Node, Any]) -> Any:
        with preserved_deeply(order):
            return autodiff.value(node, interpreters_feed({n: feed[n] for n in order if n in feed}))

    return interpreted


def _settings(optimizer: Any) -> list[tuple[str, Any]]:
    """What of an optimizer is written into a program: all but its arrays, and a learning rate that
    is a number, which are inputs.
    """
    return [
        (name, value)
        for name, value in vars(optimizer).items()
        if name != "state" and not (name in ("lr", "_lr") and isinstance(value, (int, float)))
    ]


def key_of(feed: Mapping[Node, Any], order: Sequence[Node], optimizer: Any) -> Any:
    """The combination of types that a program holds for, and the optimizer's settings that are
    written into it.
    """
    types = {node: type_of(value) for node, value in feed.items()}
    own = {n: type_of(n.value) for n in order if isinstance(n, Parameter) and n not in feed}
    settings = (
        {k: v for k, v in vars(optimizer).items() if k not in ("state", "lr", "_lr")}
        if optimizer
        else {}
    )
    lr = getattr(optimizer, "lr", None)
    schedule = ("number",) if isinstance(lr, (int, float)) else (id(lr), repr(lr))
    return (
        frozenset(types.items()),
        frozenset(own.items()),
        tuple(sorted((k, repr(v)) for k, v in settings.items())),
        schedule,
    )


def difference(old: Any, new: Any) -> str:
    """In words, what differs between two keys."""
    sentences = []
    for before, after in zip(old[:2], new[:2], strict=True):
        was, became = dict(before), dict(after)
        for node in became.keys() | was.keys():
            if node not in was:
                sentences.append(f"{node.label} was not fed, and now is.")
            elif node not in became:
                sentences.append(f"{node.label} was fed, and now is not.")
            elif was[node] != became[node]:
                sentences.append(f"{node.label} was {was[node]} and became {became[node]}.")
    if old[2:] != new[2:]:
        sentences.append("The optimizer's settings changed.")
    return " ".join(sorted(sentences)) or "Nothing differs."
