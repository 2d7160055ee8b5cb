"""`scan` as ONNX's Scan: a loop whose body is a graph, and whose history is what it gives.

The body takes the state and an item of each sequence, and gives the next state twice: as the state
of the next turn, and as an entry of the history. What is the same in every turn it sees from
outside.
"""

from __future__ import annotations

from collections.abc import Callable

from miniflow.backends.onnx.writing import BodyOfLoop, GraphWriter
from miniflow.ir.program import Equation, Program


def scan(
    w: GraphWriter, e: Equation, write_program: Callable[[GraphWriter, Program], list[str]]
) -> str:
    """Write a scan; `write_program` writes the equations of its body."""
    body: Program = e.params["body"]
    count, way = e.params["sequences"], int(e.params["reverse"])
    inner = GraphWriter(w.twins, w)
    entries = []
    for place, entry in enumerate(body.inputs):
        variable = entry.variable
        if place <= count:
            name = inner.name(f"{variable.name or 'item'}_{'state' if place == 0 else 'item'}")
            inner.values[variable] = name
            entries.append((name, variable))
        else:
            inner.values[variable] = w.read(place, variable.dtype)
    (new,) = write_program(inner, body)
    outputs = [inner.op("Identity", new), inner.op("Identity", new)]
    graph = BodyOfLoop(inner, inner.name("body"), entries, outputs)
    first = w.read(0)
    if not e.operands[0].shape:
        first = w.reshape(first, ())
    sequences = [w.read(1 + place) for place in range(count)]
    return w.op(
        "Scan",
        first,
        *sequences,
        outputs=2,
        body=graph,
        num_scan_inputs=count,
        scan_input_directions=[way] * count if way else None,
        scan_output_directions=[way] if way else None,
    )
