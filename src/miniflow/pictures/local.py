"""LocalDerivative derivatives: what one node's own `backward` says about one of its inputs.

A picture has no table of derivatives. It hands the node an upstream gradient of its choice, lets it
run `backward` on the values that the last pass left, reads what it hands back, and puts the node's
state back as it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np

from miniflow.graph import Node
from miniflow.graph.places import is_ours
from miniflow.graph.plans import Pass
from miniflow.interpreter.keeping import attributes_preserved
from miniflow.interpreter.passes import (
    TheEnd,
    alone,
    fit_gradient,
    one_pass_at_a_time,
)
from miniflow.tracing.keeping import preserved_deeply

Array = np.ndarray[Any, Any]

MOST_ENTRIES = 4096  # of a Jacobian that is worked out entry by entry


class LocalDerivative(NamedTuple):
    """The derivative of a node with respect to one of its inputs.

    `number`: both are single numbers. `row`: the node is one, the input an array; the derivative
    has the input's shape. `elementwise`: each entry depends on one entry; it has that shape too.
    `jacobian`: all else, a matrix of (entries of the node, entries of the input); `value` is None
    where that would be too large to work out. `unknown`: the node's code refuses to tell.
    """

    kind: Literal["number", "row", "elementwise", "jacobian", "unknown"]
    value: Array | None


def pull_back(node: Node, upstream: Any) -> dict[Node, Any]:
    """The gradients that the node hands its inputs if its own value's gradient is `upstream`.

    Code that is not miniflow's own may work in place on what `forward` has kept: that is put back.
    """
    keep = attributes_preserved if is_ours(node) else preserved_deeply
    with alone(node, TheEnd(node, lambda: upstream), keep=keep):
        node.backward()
        # Copied: a gradient may be an array of the cache, to which its contents come back.
        return {n: g.copy() if type(g) is np.ndarray else g for n, g in node.gradients.items()}


@contextmanager
def as_forward_left_them(nodes: Sequence[Node]) -> Iterator[None]:
    """Have these nodes, which are in the graph's order, as `forward` left them; for a while.

    After a backward pass a node of somebody's own class may hold other numbers than that: code that
    works in place on what `forward` has kept (`p = self.cache["p"]; p[rows, y] -= 1`) would give
    other derivatives the second time. So `forward` is run again, unless it does not do the same
    twice: then what is there tells more of the last pass.
    """
    own = [node for node in nodes if node.inbound_nodes and not is_ours(node)]
    with one_pass_at_a_time, preserved_deeply(own), np.errstate(all="ignore"):
        with Pass({node: TheEnd(node) for node in own}, set(nodes)):
            for node in own:
                if _does_the_same_twice(node):
                    node.forward()
        yield


def _does_the_same_twice(node: Node) -> bool:
    values = []
    numpys, pythons = np.random.get_state(), random.getstate()
    with preserved_deeply([node]):
        try:
            for _ in range(2):
                node.forward()
                values.append(np.copy(node.value))
        except Exception:  # whatever a node's own code raises outside of a training
            return False
        finally:
            np.random.set_state(numpys)
            random.setstate(pythons)
    one, other = values
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def local_derivative(node: Node, source: Node) -> LocalDerivative:
    """The derivative of `node` with respect to `source`, at the values of the last pass."""
    value, given = np.asarray(node.value), np.asarray(source.value)
    if value.size == 1:
        row = row_of(node, source, np.ones(value.shape)[()])
        return LocalDerivative("number" if given.size == 1 else "row", row)
    if value.size * given.size <= MOST_ENTRIES:
        matrix = jacobian(node)[source]
        if value.shape == given.shape and not np.any(matrix - np.diag(np.diag(matrix))):
            return LocalDerivative("elementwise", np.diag(matrix).reshape(given.shape))
        return LocalDerivative("jacobian", matrix)
    if value.shape == given.shape and seems_elementwise(node, source):
        return LocalDerivative("elementwise", row_of(node, source, np.ones(value.shape)))
    return LocalDerivative("jacobian", None)


def seems_elementwise(node: Node, source: Node) -> bool:
    """Whether a probe of different numbers comes back as each times the answer to 1."""
    shape = np.shape(node.value)
    probe = 1.5 + np.cos(np.arange(int(np.prod(shape)), dtype=np.float64)).reshape(shape)
    ones = row_of(node, source, np.ones(shape))
    return bool(np.allclose(row_of(node, source, probe), probe * ones))


def jacobian(node: Node) -> dict[Node, Array]:
    """For each input the matrix of derivatives, (entries of the node, entries of the input)."""
    shape = np.shape(node.value)
    rows: dict[Node, list[Array]] = {source: [] for source in node.inbound_nodes}
    for index in range(int(np.prod(shape))):
        unit = np.zeros(shape)
        unit.reshape(-1)[index] = 1.0
        handed = pull_back(node, unit[()])
        for source, found in rows.items():
            found.append(_fitted(handed.get(source), node, source).ravel())
    return {source: np.array(found) for source, found in rows.items()}


def depends(node: Node) -> dict[Node, Array]:
    """For each input the matrix of which entry of the node depends on which of the input, wherever
    it does.

    A derivative may happen to be 0 at the present values (a weight is 0, a unit is off), so the
    node is asked again at others. Where it refuses them, what it says at the present ones stands.
    """
    found = {source: matrix != 0 for source, matrix in jacobian(node).items()}
    sources = list(found)
    for start in (1, 7):
        with alone(node, moved=sources):
            for source in sources:
                value = np.asarray(source.value)
                if value.dtype.kind == "f":
                    source.value = other_values(value, start)
            try:
                node.forward()
                others = jacobian(node)
            except Exception:  # whatever a node's own code raises when it is fed strange numbers
                continue
        for source, matrix in others.items():
            if matrix.shape == found[source].shape:
                found[source] = found[source] | (matrix != 0)
    return found


def other_values(value: Array, start: int) -> Array:
    """Positive numbers without a pattern, in the shape and dtype of the value."""
    golden = (np.arange(value.size) + start) * 0.6180339887498949
    return (0.3 + golden % 1).reshape(value.shape).astype(value.dtype)


def row_of(node: Node, source: Node, upstream: Any) -> Array:
    """What a node hands one of its inputs, in that input's shape."""
    return _fitted(pull_back(node, upstream).get(source), node, source)


def _fitted(gradient: Any, node: Node, source: Node) -> Array:
    """What a node hands one of its inputs, as an array of that input's shape; None means that
    nothing flows there. What a pass would refuse is refused with the same words.
    """
    if gradient is None:
        return np.zeros(np.shape(source.value))
    return np.asarray(fit_gradient(gradient, source, by=node), dtype=np.float64)
