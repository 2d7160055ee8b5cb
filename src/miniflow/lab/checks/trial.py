"""What the checks of gradients have in common: a node of the learner's, tried out on numbers.

Its value is seen to be right before any gradient: a wrong one would go on into the library's nodes
around it, and the complaint would be about those.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.lab.checking import Mistake, Work
from miniflow.lab.lines import adds_up

FIRST_ONLY = (
    "only the first consumer's share is there: does the loop end after one? Several consumers use "
    "this node, and all count."
)
LAST_ONLY = (
    "only the last consumer's share is left: are the zeros made anew in the loop? They belong "
    "before it; several consumers use this node."
)


def forward_first(work: Work, node: Any, feed: Mapping[Any, Any], expected: Any) -> None:
    """End the part unless `node` has the value `expected`."""
    forward = type(node).forward
    ran = f"value of {type(node).__name__}, before any gradient"
    value = work.value(node, feed, ran=ran, at=forward)
    sentence = "forward is not right yet, and gradients come after it."
    mistakes = [Mistake(sentence, when=lambda value: True)]
    work.compare(value, expected, ran=ran, at=forward, mistakes=mistakes)


class Trial:
    """A node of a learner's class between inputs of ours.

    Args:
        work: what the part of the check was given; what is run is described to it.
        kind: the learner's class.
        fed: name of an input → what is fed to it, in the order of the inbound nodes.
        value: what the node must compute of that.
    """

    def __init__(self, work: Work, kind: Any, fed: Mapping[str, Any], value: Any) -> None:
        self.work, self.kind, self.fed, self.value = work, kind, fed, value
        self.inputs = [mf.Input(name) for name in fed]
        self.node = kind(*self.inputs)
        self.feed = dict(zip(self.inputs, fed.values(), strict=True))

    def gradients(self, upstream: Any, refused: Sequence[Mistake] = ()) -> list[Any]:
        """The gradients of the inputs, with an upstream gradient that is fed; nothing else may
        change on the way. `refused` says what was wrong with a gradient that miniflow refuses.
        """
        forward_first(self.work, self.node, self.feed, self.value)
        dummy, before = mf.DummyGrad(self.node), np.array(self.node.value)
        with self.work.untouched(**self.fed, grad=upstream):
            feed = self.feed | {dummy: upstream}
            _, gradients = self.work.gradients(dummy, feed, self.inputs, mistakes=refused)
        self.work.require(
            np.array_equal(before, self.node.value),
            "your backward changed self.value in place: others read it, too.",
        )
        return gradients

    def compare(
        self,
        gradients: Sequence[Any],
        expected: Sequence[Any],
        mistakes: Sequence[Sequence[Mistake]],
    ) -> None:
        """Fail unless each input has the gradient that is expected; one list of mistakes each."""
        for i, name in enumerate(self.fed):
            at, what = (self.kind.backward, i), f"gradient of {name}"
            self.work.compare(gradients[i], expected[i], at=at, what=what, mistakes=mistakes[i])

    def compare_with_consumers(
        self,
        shares: Sequence[Any],
        rule: Callable[[Any], Sequence[Any]],
        accumulate: str,
        others: Callable[[int], Sequence[Mistake]],
        refused: Sequence[Mistake] = (),
    ) -> None:
        """Fail unless the gradients of several consumers are summed.

        Args:
            shares: what each of them hands back.
            rule: from an upstream gradient to the gradients of the inputs.
            accumulate: what to say where one share alone counts.
            others: further mistakes with the input of a number.
            refused: as in `gradients`.
        """
        forward_first(self.work, self.node, self.feed, self.value)
        consumers: list[mf.Node] = [mf.Mul(self.node, mf.Constant(share)) for share in shares]
        output = reduce(lambda total, consumer: mf.Add(total, consumer), consumers)
        _, gradients = self.work.gradients(output, self.feed, self.inputs, mistakes=refused)
        total, product = sum(shares), reduce(np.multiply, shares)
        adds = any(adds_up(self.kind.backward, i) for i in range(len(self.inputs)))
        last = LAST_ONLY if adds else accumulate
        mistakes = [
            (last, rule(shares[-1])),
            (FIRST_ONLY if adds else accumulate, rule(shares[0])),
            ("the consumers' gradients were multiplied; add them.", rule(product)),
            ("the average of the consumers is not their sum.", rule(total / len(shares))),
        ]
        self.compare(
            gradients,
            rule(total),
            [
                [*(Mistake(sentence, wrong[i]) for sentence, wrong in mistakes), *others(i)]
                for i in range(len(self.inputs))
            ],
        )
        for consumer, share in zip(consumers, shares, strict=True):
            self.work.require(
                np.allclose(consumer.gradients[self.node], share),
                "your code changed a consumer's gradient in place: add into an array of your own.",
            )
