"""A learner's network as programs of a page: three ways to step, and its answer at any points."""

import json

import numpy as np

from miniflow.backends.javascript import ARRAYS_JS, array_text, to_javascript
from miniflow.compiler import compile
from miniflow.errors import MiniflowError
from miniflow.graph import Node
from miniflow.interpreter.listing import inputs
from miniflow.ir.dtypes import dtype_name
from miniflow.lab.exercises import LabError
from miniflow.optimizers import SGD, Adam
from miniflow.passes import optimize

POINTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])
SIDE = 41  # points of the map along each side
LOW, HIGH = -0.5, 1.5


def network_programs(loss: Node) -> str:
    """The text of a function `makeEngine()`, as `static/xor.js` wants it."""
    fed = inputs(loss)
    if len(fed) != 2 or not loss.inbound_nodes:
        raise LabError(
            "To play with, a network is a loss of two inputs, points and labels; this one has "
            f"{len(fed)}: {', '.join(map(str, fed)) or 'none'}."
        )
    points, labels = fed
    if labels not in loss.inbound_nodes:
        points, labels = labels, points
    ways = {"plain": SGD(0.3), "momentum": SGD(0.3, momentum=0.9), "Adam": Adam(0.05)}
    parts = [ARRAYS_JS]
    try:
        for way, optimizer in ways.items():
            step = compile(loss, optimizer=optimizer, backend="reference")
            kept = [parameter.value.copy() for parameter in step.parameters]
            step({points: POINTS, labels: LABELS})
            for parameter, value in zip(step.parameters, kept, strict=True):
                parameter.value[...] = value  # the network stays as it is
            parts.append(to_javascript(optimize(step.program), name=f"step_{way}"))
        answer = compile(loss.inbound_nodes[0], backend="reference")
        scores = answer({points: grid()})
        parts.append(to_javascript(optimize(answer.program), name="answer"))
    except MiniflowError as error:
        raise LabError(f"This network cannot be made a page: {error}") from error
    if np.shape(scores) != (SIDE * SIDE, 2):
        raise LabError(
            f"To play with, a network gives two logits for each point: (n, 2), and not "
            f"{np.shape(scores)} for {SIDE * SIDE} points."
        )
    first = {
        parameter.name or f"parameter {i}": parameter.value
        for i, parameter in enumerate(step.parameters)
    }
    arrays = ", ".join(
        f'typedArray("{dtype_name(value.dtype)}", "{array_text(value)}")'
        for value in first.values()
    )
    names = json.dumps([[points.name, labels.name], [list(np.shape(v)) for v in first.values()]])
    return "\n".join(
        [
            *parts,
            f"const FIRST = [{arrays}];",
            f"const [FED, SHAPES] = {names};",
            "const makeEngine = () => new ProgramEngine("
            "{ plain: step_plain, momentum: step_momentum, Adam: step_Adam }, answer, FIRST, "
            "SHAPES, FED);",
        ]
    )


def grid() -> np.ndarray:
    """The points of the map, row by row from above, as the page has them."""
    x = np.linspace(LOW, HIGH, SIDE)
    across, up = np.meshgrid(x, x[::-1])
    return np.column_stack([across.ravel(), up.ravel()])
