"""`GraphWriter` collects the nodes of a graph of ONNX, and knows how to write what every primitive
needs: a value in a dtype, a number, a shape.

Constants, and the sizes that depend on the number of rows, stand in the outermost graph, once each;
the body of a loop sees them, as it sees every value from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from miniflow.backends.onnx import protobuf
from miniflow.backends.onnx.sizes import ROWS, RowLine, RowShare, Size, Twins
from miniflow.errors import CompileError
from miniflow.ir.dtypes import DTYPES, Array
from miniflow.ir.program import Equation, Literal, Operand, Variable

MOST: Final = 2**31 - 2**20  # bytes of a message; the rest is room for what stands around arrays


def cannot(equation: Equation | None, why: str) -> CompileError:
    """The error for what ONNX has no words for; it names the node."""
    who = "The program"
    if equation is not None and equation.origin is not None:
        origin = equation.origin
        who = f"{origin.node} ({origin.where})" if origin.where else origin.node
    return CompileError(f"{who} cannot be written as ONNX: {why}.")


def unique(wanted: str, taken: dict[str, None]) -> str:
    """A name of letters, digits and _ that is not among those that are taken; it is, from now on.

    >>> taken = {"x": None}
    >>> unique("x", taken), unique("velocity.0", taken), unique("3", taken)
    ('x_2', 'velocity_0', '_3')
    """
    stem = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "value"
    stem = f"_{stem}" if stem[0].isdigit() else stem
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken[name] = None
    return name


class NodeRecord:
    """A node that is still to be written: names may change until then."""

    def __init__(
        self, operator: str, inputs: list[str], outputs: list[str], name: str, attributes: Any
    ) -> None:
        self.operator, self.inputs, self.outputs = operator, inputs, outputs
        self.name, self.attributes = name, attributes


class GraphWriter:
    """The nodes of a graph, or of the body of a loop in it (`outer` has the graph around it)."""

    def __init__(self, twins: Twins, outer: GraphWriter | None = None) -> None:
        self.twins = twins
        self.root: GraphWriter = self if outer is None else outer.root
        self.nodes: list[NodeRecord] = []
        self.values: dict[Variable, str] = {} if outer is None else dict(outer.values)
        self.equation: Equation | None = None  # what is being written
        self.arrays: dict[Variable, Array] = {} if outer is None else outer.arrays
        self.made: dict[Variable, Equation] = {} if outer is None else dict(outer.made)
        if outer is None:
            self.initializers: dict[str, Array] = {}
            self.renamed: dict[str, str] = {}
            self.unnamed: set[str] = set()  # results that may still be called something
            self.rows: tuple[str, int] | None = None  # whose axis has the number of rows
            self._taken: dict[str, None] = {}
            self._counts: dict[str, int] = {}
            self._constants: dict[Any, str] = {}
            self._sizes: dict[RowLine, str] = {}
        self._casts: dict[tuple[str, str], str] = {}

    # --- Names

    def name(self, wanted: str) -> str:
        """A name that nothing else has, like the one that is wanted."""
        return unique(wanted, self.root._taken)

    def reserve(self, names: list[str]) -> list[str]:
        """Keep names for what comes; return them."""
        self.root._taken.update(dict.fromkeys(names))
        return names

    def _fresh(self, stem: str) -> str:
        """The next name of a kind, for what a user has given none."""
        counts = self.root._counts
        counts[stem] = counts.get(stem, 0) + 1
        name = self.name(f"{stem}{counts[stem]}")
        self.root.unnamed.add(name)
        return name

    def rename(self, name: str, wanted: str) -> bool:
        """Give the name that is wanted, which nothing else has, to what has none; tell whether."""
        root = self.root
        if name not in root.unnamed:
            return False
        root.unnamed.discard(name)
        root.renamed[name] = wanted
        return True

    # --- Nodes

    def op(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its result; of several, that of the last."""
        origin = self.equation.origin if self.equation is not None else None
        results = [self._fresh("t") for _ in range(outputs)]
        owner = "" if origin is None else f"{origin.node}/"
        label = self._label(f"{owner}{operator}")
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(NodeRecord(operator, list(inputs), results, label, given))
        return results[-1]

    def _label(self, stem: str) -> str:
        counts = self.root._counts
        counts[stem] = counts.get(stem, 0) + 1
        return stem if counts[stem] == 1 else f"{stem} {counts[stem]}"

    def initializer(self, array: Array, name: str) -> str:
        """Add an array under a name of its own."""
        name = self.name(name)
        self.root.initializers[name] = array
        return name

    def constant(self, value: Any, dtype: str = "i64") -> str:
        """A number or a small array, once for all who want it."""
        array = np.asarray(value, DTYPES[dtype])
        key = dtype, array.shape, array.tobytes()
        known = self.root._constants
        if key not in known:
            known[key] = self._fresh("c")
            self.root.unnamed.discard(known[key])
            self.root.initializers[known[key]] = array
        return known[key]

    def cast(self, name: str, old: str, new: str) -> str:
        """A value in another dtype."""
        if old == new:
            return name
        if (name, new) not in self._casts:
            to = protobuf.DATA_TYPES[new]
            self._casts[name, new] = self.op("Cast", name, to=to)
        return self._casts[name, new]

    # --- Values

    def read(self, place: int, dtype: str | None = None) -> str:
        """An operand of the equation that is being written, in a dtype; in its own by default."""
        equation = self.equation
        assert equation is not None
        operand = equation.operands[place]
        dtype = operand.dtype if dtype is None else dtype
        if isinstance(operand, Literal):
            return self._number(self.twins.number(equation, place), dtype)
        return self.cast(self.values[operand], operand.dtype, dtype)

    def _number(self, number: Any, dtype: str) -> str:
        if isinstance(number, RowShare):
            rows = self.cast(self.size(ROWS), "i64", "f64")
            rows = self.op("Reshape", rows, self.constant([]))
            return self.cast(self.op("Div", self.constant(number.total, "f64"), rows), "f64", dtype)
        if isinstance(number, RowLine):
            return self.cast(self.op("Reshape", self.size(number), self.constant([])), "i64", dtype)
        if isinstance(number, int) and not -(2**63) <= number < 2**63 and dtype != "u64":
            if dtype[0] != "f":
                raise cannot(self.equation, f"{number} has more than 64 bits")
            number = float(number)
        with np.errstate(all="ignore"):
            return self.constant(np.asarray(number).astype(DTYPES[dtype]), dtype)

    def size(self, size: Size) -> str:
        """A size as an array of one entry."""
        if isinstance(size, int):
            return self.constant([size])
        return self.root._computed_size(size)

    def _computed_size(self, line: RowLine) -> str:
        if line not in self._sizes:
            assert self.rows is not None, "sizes depend on what is fed"
            kept, self.equation = self.equation, None
            source, axis = self.rows
            if line == ROWS:
                result = self.op("Shape", source, start=axis, end=axis + 1)
            else:
                result = self._computed_size(ROWS)
                if line.slope != 1:
                    result = self.op("Mul", result, self.constant([line.slope]))
                if line.offset:
                    result = self.op("Add", result, self.constant([line.offset]))
            self._sizes[line], self.equation = result, kept
        return self._sizes[line]

    def shape(self, sizes: Sequence[Size]) -> str:
        """A shape as an array of whole numbers."""
        if all(isinstance(size, int) for size in sizes):
            return self.constant(np.array(sizes, np.int64))
        return self.op("Concat", *map(self.size, sizes), axis=0)

    def reshape(self, name: str, sizes: Sequence[Size]) -> str:
        """A value in another shape; one length that depends on the rows follows from the others."""
        lines = sum(not isinstance(size, int) for size in sizes)
        if 0 in sizes:
            return self.op("Reshape", name, self.shape(sizes), allowzero=1)
        if lines == 1:
            sizes = [size if isinstance(size, int) else -1 for size in sizes]
        return self.op("Reshape", name, self.shape(sizes))

    def expand(self, name: str, sizes: Sequence[Size]) -> str:
        """A value broadcast to a shape."""
        return self.op("Expand", name, self.shape(sizes))

    def shape_of(self, operand: Operand) -> tuple[Size, ...]:
        """The shape of a value, for any number of rows."""
        return self.twins.shape(operand)

    # --- Bytes

    def encoded_nodes(self) -> Iterable[bytes]:
        """The nodes, each under its last name."""
        renamed = self.root.renamed
        for record in self.nodes:
            attributes = {
                key: value(renamed) if callable(value) else value
                for key, value in record.attributes.items()
            }
            yield protobuf.node(
                record.operator,
                [renamed.get(name, name) for name in record.inputs],
                [renamed.get(name, name) for name in record.outputs],
                record.name,
                attributes,
            )


def prune_unread(root: GraphWriter, results: Iterable[str], inputs: Iterable[str]) -> None:
    """Drop the nodes and the arrays that nobody reads; what is named as an input stays."""
    read = set(results)
    _keep_read(root, read)
    read.update(inputs)
    root.initializers = {k: v for k, v in root.initializers.items() if k in read}


def _keep_read(writer: GraphWriter, read: set[str]) -> None:
    """Keep the nodes of a graph whose results are read, and add what they read."""
    kept = []
    for record in reversed(writer.nodes):
        if read.isdisjoint(record.outputs):
            continue
        kept.append(record)
        read.update(record.inputs)
        for value in record.attributes.values():
            if isinstance(value, BodyOfLoop):
                read.update(value.outputs)
                _keep_read(value.writer, read)
    writer.nodes = kept[::-1]


class BodyOfLoop:
    """The body of a loop, to be written with the graph around it."""

    def __init__(
        self, writer: GraphWriter, name: str, inputs: Sequence[tuple[str, Variable]], outputs: Any
    ) -> None:
        self.writer, self.name, self.inputs = writer, name, inputs
        self.outputs: list[str] = outputs

    def __call__(self, renamed: dict[str, str]) -> bytes:
        """The GraphProto."""
        writer = self.writer
        types = [(name, v.dtype, value_shape(writer.twins, v)) for name, v in self.inputs]
        state = types[0]
        return protobuf.Subgraph(
            protobuf.graph(
                self.name,
                writer.encoded_nodes(),
                [protobuf.value_info(*type_) for type_ in types],
                [protobuf.value_info(name, *state[1:]) for name in self.outputs],
            )
        )


def value_shape(twins: Twins, operand: Operand) -> list[int | str]:
    """A shape as a ValueInfo has it: lengths that depend on the rows by name."""
    return [d if isinstance(d, int) else str(d) for d in twins.shape(operand)]
