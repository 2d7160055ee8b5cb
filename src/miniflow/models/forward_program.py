"""The forward program of a graph, for any number of rows: what a model file holds. (What it holds
besides, the way back to the inputs, is in `backward_program`.)

The graph is recorded for a few numbers of rows (`ROWS`). Where the programs differ only in sizes
that grow evenly, one description serves all of them (`ir.store.generalize`); it has to describe the
program for many rows (`MANY`) as well, and for a single row give one that computes what the graph
does. A graph that does something else for another number of rows is stored for the one that its
example has.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError, MiniflowError, printable
from miniflow.graph import Node, Parameter
from miniflow.graph.checks import is_listed
from miniflow.graph.plans import ancestors_in_order, plan_for
from miniflow.graph.values import as_value, describe
from miniflow.interpreter.feeding import is_input
from miniflow.ir.dtypes import DTYPES, ProgramError, ValueType, type_of
from miniflow.ir.evaluate import evaluate
from miniflow.ir.program import Constant, Program
from miniflow.ir.store import describe_program, generalize, parse, specialize
from miniflow.tracing.keeping import preserved_deeply
from miniflow.tracing.record import Recording, record
from miniflow.tracing.steady import record_steadily

ROWS = (2, 3, 5)
MANY = 997


def checked_inputs(inputs: Any) -> Any:
    """What `save` is given as `inputs`, if it is None, or has nodes and nothing else."""
    if isinstance(inputs, Node):
        raise GraphError(f"inputs is a list of nodes: write inputs=[...] round {inputs}.")
    if inputs is not None and not isinstance(inputs, Mapping):
        inputs = list(inputs) if is_listed(inputs) else [inputs]
    for given in inputs or ():
        if not isinstance(given, Node):
            raise GraphError(
                f"inputs is a list of nodes, or a dictionary {{node: example}}, and has "
                f"{describe(given)}."
            )
    return inputs


def without_loss(node: Node, inputs: Any) -> Node:
    """The logits, if `node` is a loss of (logits, labels): one number, from rows of logits and
    labels that nothing else needs.
    """
    if len(node.inbound_nodes) < 2:
        return node
    logits, labels = node.inbound_nodes[:2]
    if not is_input(labels) or labels in ancestors_in_order(logits):
        return node
    if inputs is not None:
        return node if labels in inputs else logits
    sources = _sources(node)
    if node.value is not None and all(source._fed_type is None for source in sources):
        shapes = np.shape(node.value), np.shape(logits.value)
    else:
        types = {source: _last_type(source) for source in sources}
        try:
            values = record_graph(node, types).values
        except GraphError:  # the logits have been asked for other rows than there were labels
            rows = [types[source].shape[:1] for source in _sources(logits)]
            if rows[:1] in ([], [()]) or types[labels].shape[:1] in ((), rows[0]):
                raise
            shape = rows[0] + types[labels].shape[1:]
            types[labels] = types[labels]._replace(shape=shape)
            values = record_graph(node, types).values
        shapes = values[node].shape, values[logits].shape
    return logits if shapes[0] == () != shapes[1] else node


def names_of_outputs(output: Node) -> list[str] | None:
    """The names of a list of outputs, in order; None for one output that is no list."""
    if not output.gathers:
        return None
    places: dict[str, Node] = {}
    for node in output.inbound_nodes:
        if node.name is None:
            raise GraphError(
                f"save: {node} has no name, and a model of several outputs gives them by their "
                "names: name='probabilities', say."
            )
        name = printable(node.name)
        if name in places:
            raise GraphError(
                f"save: two outputs are called {name!r}: {places[name]} and {node}. Give each a "
                "name of its own."
            )
        places[name] = node
    return list(places)


def examples_of(output: Node, inputs: Any) -> dict[Node, ValueType]:
    """The model's inputs in order, each with the type of an example; numbers count as arrays."""
    sources = _sources(output)
    for node in sources if inputs is not None else ():
        if node not in inputs:
            raise GraphError(
                f"{output} needs {node}, which is not among the inputs: {list(inputs)}."
            )
    if isinstance(inputs, Mapping):
        types = {node: type_of(np.asarray(as_value(x, str(node)))) for node, x in inputs.items()}
    else:
        types = {
            node: _last_type(node)
            for node in (sources if inputs is None else inputs)
            if node in sources
        }
    return {node: type_._replace(kind="array") for node, type_ in types.items() if node in sources}


def _sources(output: Node) -> list[Node]:
    """The inputs that are fed."""
    return [n for n in ancestors_in_order(output) if is_input(n)]


def _last_type(node: Node) -> ValueType:
    """The type of what was last fed to an input, by the interpreter or to a compiled step."""
    if node._fed_type is None and node.value is None:
        raise GraphError(
            f"{node} was never fed, so its shape is not known: "
            "give an example of what is fed, inputs={node: array}."
        )
    type_: ValueType = type_of(node.value) if node._fed_type is None else node._fed_type
    return type_


def record_graph(
    output: Node,
    types: Mapping[Node, ValueType],
    wrt: Sequence[Node] = (),
    twice: bool = False,
    upstream: ValueType | None = None,
) -> Recording:
    """Record a graph whose inputs have these types, and its gradients with respect to `wrt`; the
    nodes are left as they were. If `twice`, what differs from pass to pass is refused.
    `upstream` is as for `record`.
    """
    order = ancestors_in_order(output)

    def once() -> Recording:
        return record(output, plan_for(output), types, wrt, upstream=upstream)

    if twice:
        return record_steadily(once, order)
    with preserved_deeply(order):
        return once()


class Stored(NamedTuple):
    """A program as a model file holds it.

    Attributes:
        description: what `ir.store` has made of it.
        arrays: those that it reads, in order, each with its name in the program.
        parameters: how many of them are parameters of the graph; these come first.
        rows: 1 where the description is one for any number of rows; None where it is for as many
            as the example had.
        output: the type of its first output, for one row or for as many as the example had.
    """

    description: Any
    arrays: list[tuple[str, np.ndarray[Any, Any]]]
    rows: int | None
    output: ValueType
    parameters: int


def forward_program(output: Node, examples: Mapping[Node, ValueType]) -> Stored:
    """The program from the inputs to `output`, for any number of rows if the graph allows it."""
    steady, parameters = _program(output, examples, None), _parameters_of(output)
    try:
        programs = {n: _program(output, examples, n) for n in ROWS}
        description = generalize(programs)
        program = programs[ROWS[0]]
        one = parse(description, [constant.value for constant in program.constants], 1)
        if specialize(description, MANY) != _as_json(_program(output, examples, MANY)):
            raise ProgramError("the program for many rows is another one")
        _check_single_row(description, one, output, examples)
    except MiniflowError:
        return as_stored(steady, None, parameters)
    type_ = one.outputs[0].operand.type
    return Stored(description, _named_arrays(program), 1, type_, parameters)


def _check_single_row(
    description: Any, one: Program, output: Node, examples: Mapping[Node, ValueType]
) -> None:
    """Raise ProgramError where the graph does something else for a single row. What it records for
    one may look otherwise, as an axis of one is no reason to broadcast: so numbers are compared.
    """
    try:
        recorded = _program(output, examples, 1)
    except MiniflowError:
        return  # it takes no single row
    if specialize(description, 1) == _as_json(recorded):
        return
    rng, given = np.random.default_rng(0), []
    for entry in one.inputs:
        type_, shape = DTYPES[entry.variable.dtype], entry.variable.shape
        is_whole = type_.kind != "f"  # perhaps a place in a table: there is a first one
        given.append(np.zeros(shape, type_) if is_whole else rng.normal(size=shape).astype(type_))
    try:
        with np.errstate(all="ignore"):
            results = evaluate(one, given), evaluate(recorded, given)
    except ProgramError:
        return  # not with such numbers
    for found, wanted in zip(*results, strict=True):
        accuracy = {"rtol": 1e-2, "atol": 1e-2 * float(np.max(np.abs(wanted), initial=0))}
        if not np.allclose(found, wanted, **accuracy, equal_nan=True):
            raise ProgramError("the program for a single row is another one")


def _parameters_of(output: Node) -> int:
    return sum(isinstance(n, Parameter) and n.is_trained for n in ancestors_in_order(output))


def as_stored(program: Program, rows: int | None, parameters: int = 0) -> Stored:
    """What to store of a program for one number of rows."""
    output = program.outputs[0].operand.type
    return Stored(describe_program(program), _named_arrays(program), rows, output, parameters)


def _named_arrays(program: Program) -> list[tuple[str, np.ndarray[Any, Any]]]:
    return [(printable(c.variable.name or "constant"), c.value) for c in program.constants]


def _as_json(program: Program) -> Any:
    return specialize(describe_program(program), 0)  # tuples become lists


def _program(output: Node, examples: Mapping[Node, ValueType], n: int | None) -> Program:
    """The program for n rows, or for as many as the examples have; it is then recorded twice."""
    recorded = record_graph(output, with_rows(examples, n), twice=n is None).program
    return with_constants(recorded, list(examples), output)


def with_rows(examples: Mapping[Node, ValueType], n: int | None) -> dict[Node, ValueType]:
    """The types of the inputs for n rows; for None, as they are in the examples.

    The first axis of the first input is that of the rows; so is that of every input that has as
    many.
    """
    first = next((type_.shape[0] for type_ in examples.values() if type_.shape), None)
    return {
        node: type_._replace(shape=(n, *type_.shape[1:]))
        if n is not None and type_.shape[:1] == (first,)
        else type_
        for node, type_ in examples.items()
    }


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    seen = array.view()
    seen.flags.writeable = False
    return seen


def with_constants(program: Program, inputs: Sequence[Node], output: Node) -> Program:
    """Parameters become constants, and the inputs stand in the order that was asked for; what is
    no node's, an upstream gradient, is last.
    """
    order = ancestors_in_order(output)
    fed = {
        order[e.origin.index]: e for e in program.inputs if e.role == "fed" and e.origin is not None
    }
    upstream = tuple(e for e in program.inputs if e.origin is None)
    kept = [
        (order[e.origin.index], e.variable)
        for e in program.inputs
        if e.role == "parameter" and e.origin is not None
    ]
    kept.sort(key=lambda pair: not pair[0].is_trained)  # states come after the parameters
    parameters = tuple(Constant(variable, _read_only(node.value)) for node, variable in kept)
    return Program(
        tuple(fed[node] for node in inputs if node in fed) + upstream,
        program.equations,
        program.outputs,
        parameters + program.constants,
    )
