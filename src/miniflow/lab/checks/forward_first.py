"""What the checks of gradients do first: see that the node's own value is right.

A wrong value would go on into the library's nodes around the learner's, and the complaint would be
about those.
"""

from collections.abc import Mapping
from typing import Any

from miniflow.lab.checking import Mistake, Work


def forward_first(work: Work, node: Any, feed: Mapping[Any, Any], expected: Any) -> None:
    """End the part unless `node` has the value `expected`."""
    forward = type(node).forward
    ran = f"value of {type(node).__name__}, before any gradient"
    value = work.value(node, feed, ran=ran, at=forward)
    sentence = "forward is not right yet, and gradients come after it."
    mistakes = [Mistake(sentence, when=lambda value: True)]
    work.compare(value, expected, ran=ran, at=forward, mistakes=mistakes)
