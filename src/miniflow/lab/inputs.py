"""Whether a learner's node left its inputs alone: their values, and the arrays that were fed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from miniflow.lab.comparing import difference
from miniflow.lab.results import Difference


class ChangedInput(NamedTuple):
    """What to say of an input whose value is not what was fed, and how it differs."""

    sentence: str
    difference: Difference | None = None


def values_fed(feed: Mapping[Any, Any]) -> dict[Any, Any]:
    """Copies of what is fed to nodes without inbound nodes."""
    return {node: np.array(value) for node, value in feed.items() if not node.inbound_nodes}


def changed_input(feed: Mapping[Any, Any], before: Mapping[Any, Any]) -> ChangedInput | None:
    """The first input whose value is not what was fed; None if all are.

    Args:
        feed: what was fed.
        before: what `values_fed` gave before the pass.
    """
    for node, value in before.items():
        if node.value is None or is_same(node.value, value):  # None: the output does not need it
            continue
        name = node.name or node.label
        if is_same(feed[node], value):
            return ChangedInput(
                f"your code gave {name} another value; a node sets self.value, and leaves "
                f"{name}.value as it is."
            )
        return ChangedInput(
            f"your code changed {name} in place; work on a copy, or write the result into a new "
            "array.",
            difference(feed[node], value, 0.0, name),
        )
    return None


def is_same(now: Any, before: Any) -> bool:
    try:
        return bool(np.array_equal(now, before, equal_nan=before.dtype.kind == "f"))
    except TypeError:  # whatever stands there now, it is no array of numbers
        return False
