"""What is likely wrong with a gradient: the usual mistakes, each tried on what was measured."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from miniflow.graph import Node
from miniflow.interpreter.differences import Array
from miniflow.interpreter.judging import Probe

ONE_HALF_BACK = -0.5  # a power of two: whatever is linear gives just that much of its first answer


def likeliest_mistake(
    probes: Sequence[Probe],
    gradient: Array,
    halved: Array | None,
    others: Mapping[Node, Array],
) -> str:
    """The end of a sentence that says what is wrong with the gradient, or nothing.

    Args:
        probes: the directions along which it was compared.
        gradient: what `backward` left.
        halved: what it left for `ONE_HALF_BACK` times the upstream gradients; None at the end of a
            pass.
        others: the gradients that it left for the node's other inputs.
    """
    probes = [p for p in probes if p.measured.is_finite and np.isfinite(p.said)]
    if not probes or not np.any(gradient):
        return ""

    def would_be_right(said: Callable[[Probe], float]) -> bool:
        return all(abs(said(p) - p.measured.total) <= 2 * p.allowed for p in probes)

    def of(other: Array) -> Callable[[Probe], float]:
        return lambda probe: probe.direction.of(other)

    if halved is not None and np.array_equal(halved, gradient):
        return ": the upstream gradient is not used"
    for which, name in ((-1, "last"), (0, "first")):
        if all(abs(p.said - p.measured.parts[which]) <= 2 * p.allowed for p in probes):
            return f": only the {name} consumer counts; add up over self.outbound_nodes with +="
    if would_be_right(lambda probe: -probe.said):
        return ": its sign is wrong"
    is_square = gradient.ndim == 2 and gradient.shape[0] == gradient.shape[1] > 1
    if is_square and would_be_right(of(gradient.T)):
        return ": it is the transpose"
    factor = _common_factor(probes)
    if factor is not None:
        return f": it is {_as_told(factor)} what it should be"
    for node, other in others.items():
        if other.shape == gradient.shape and would_be_right(of(other)):
            return f": it is that of {node.label}"
    if halved is not None and not is_proportional(gradient, halved):
        return ": it is not proportional to the upstream gradient"
    return ""


def is_proportional(gradient: Array, halved: Array) -> bool:
    """Whether other upstream gradients gave what they give in a backward that is linear in them."""
    expected = ONE_HALF_BACK * gradient
    return bool(np.allclose(halved, expected, rtol=1e-4, atol=0.0, equal_nan=True))


def _common_factor(probes: Sequence[Probe]) -> float | None:
    """The number by which all that was said is too large, if there is one that tells something: 2,
    or a third.
    """
    largest = max(probes, key=lambda probe: abs(probe.measured.total) / probe.allowed)
    if not largest.measured.total or not largest.said:
        return None
    factor = largest.said / largest.measured.total
    whole = factor if abs(factor) > 1 else 1 / factor
    if abs(whole - round(whole)) > 1e-3 * abs(whole):
        return None
    fits = all(
        abs(p.said - factor * p.measured.total) <= 2 * max(1.0, abs(factor)) * p.allowed
        for p in probes
    )
    return factor if fits else None


def _as_told(factor: float) -> str:
    """A factor in words, in whole numbers.

    >>> _as_told(2.00001), _as_told(0.25), _as_told(-3.0)
    ('2 times', '1/4 of', '-3 times')
    """
    if abs(factor) > 1:
        return f"{round(factor)} times"
    return f"{'-' if factor < 0 else ''}1/{abs(round(1 / factor))} of"
