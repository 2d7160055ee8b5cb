"""What `cross_entropy` expects, in plain NumPy, and what goes wrong on the way there: the mistakes
that the check of `CrossEntropyWithSoftmax` recognises, each with what it computes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from miniflow.lab.checking import Mistake
from miniflow.lab.checks.recognising import about, is_nothing, numbers_that


def log_softmax(x: Any) -> Any:
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def softmax_of(x: Any) -> Any:
    return np.exp(log_softmax(x))


def onehot(y: Any, k: int) -> Any:
    return np.eye(k)[y]


def loss_of(x: Any, y: Any) -> Any:
    return -np.mean(log_softmax(x)[np.arange(len(y)), y])


def gradient_of(x: Any, y: Any) -> Any:
    return (softmax_of(x) - onehot(y, x.shape[1])) / len(y)


PRINTED = np.array([[0.5, 1.0, 1.5]]), np.array([1])


def printed_example() -> tuple[Any, Any]:
    """The printed logits and labels, as copies: a learner's code may change what it is fed."""
    return PRINTED[0].copy(), PRINTED[1].copy()


def wrong_softmaxes(case: Any, printed: Any) -> list[Mistake]:
    """What goes wrong in `_softmax`, and what it then computes."""
    shifted = case - case.max(axis=-1, keepdims=True)
    return [
        Mistake("nothing is returned: end with `return`.", when=is_nothing),
        *(mistake for x in (case, shifted) for mistake in wrong_sums(np.exp(x))),
        Mistake(
            "np.exp is missing: you divided the logits themselves.",
            lambda x=case: x / x.sum(axis=-1, keepdims=True),
        ),
        Mistake(
            "the sign in the power is the other way round: np.exp(x), not np.exp(-x).",
            softmax_of(-case),
        ),
        Mistake(
            "these are the printed example's numbers, whatever was given.",
            when=lambda p: case is not printed and about(softmax_of(printed))(p),
        ),
        *(Mistake(KEEPDIMS, wrong) for wrong in without_keepdims(case)),
        Mistake("that is the logarithm of the softmax.", log_softmax(case)),
        Mistake("that is a softmax of the softmax.", softmax_of(softmax_of(case))),
        Mistake(
            "that is a sigmoid of each logit; a softmax divides by the row's sum.",
            1 / (1 + np.exp(-case)),
        ),
    ]


KEEPDIMS = (
    "maxima or sums are lined up with the columns: keepdims=True makes them a column, one of each "
    "row."
)


def without_keepdims(x: Any) -> list[Callable[[], Any]]:
    """Softmaxes of a matrix with keepdims forgotten for the maximum, or for that and the sum."""

    def powers() -> Any:
        return np.exp(x - x.max(axis=-1))

    return [
        lambda: powers() / powers().sum(axis=-1),
        lambda: powers() / powers().sum(axis=-1, keepdims=True),
    ]


def wrong_sums(powers: Any) -> list[Mistake]:
    """What goes wrong when powers are divided by their sum."""
    return [
        Mistake("these do not sum to 1: divide the powers by their sum.", powers),
        Mistake(
            "you divided by the sum of all entries; each row has a sum of its own (axis).",
            powers / powers.sum(),
        ),
        Mistake(
            "wrong axis: the columns sum to 1, and it is the rows that must.",
            powers / powers.sum(axis=0),
        ),
        Mistake(
            "the sums are lined up with the columns: keepdims=True makes them a column.",
            lambda: powers / powers.sum(axis=-1),
        ),
    ]


def wrong_losses(x: Any, y: Any) -> list[Mistake]:
    """What goes wrong in `forward`, and what it then computes."""
    p, n, k = softmax_of(x), len(y), x.shape[1]
    of_label = p[np.arange(n), y]
    # The class number taken for a distribution: broadcast against the rows, where NumPy lets it.
    as_numbers = y if n == 1 or n == k else y[:, None]
    return [
        Mistake(
            "this is the sum over the examples; the loss is their mean, so that it does not "
            "depend on the batch size.",
            -np.log(of_label).sum(),
        ),
        Mistake(
            "this is one loss for each example; the node's value is their mean.", -np.log(of_label)
        ),
        Mistake(
            "the minus is missing: log of a probability is negative, a loss is not.",
            np.log(of_label).mean(),
        ),
        Mistake(
            "you used the labels as if they were one-hot; they are class numbers, to index with.",
            lambda: -np.sum(as_numbers * np.log(p)) / n,
        ),
        Mistake(
            "you used the labels as if they were one-hot; they are class numbers, to index with.",
            lambda: -np.sum(as_numbers * np.log(p)),
        ),
        Mistake("the logarithm is missing: this is the mean probability.", of_label.mean()),
        Mistake("the logarithm is missing: the loss is -log p, not 1 - p.", 1 - of_label.mean()),
        Mistake("the logarithm is missing: the loss is -log p, not -p.", -of_label.mean()),
        Mistake(
            "every class was counted; only the label's probability makes the loss.",
            -np.mean(np.log(p)),
        ),
        Mistake(
            "every class was counted; only the label's probability makes the loss.",
            -np.sum(np.log(p)) / n,
        ),
        Mistake(
            "p[:, y] is a whole matrix: one entry of each row is p[np.arange(n), y].",
            lambda: -np.mean(np.log(p[:, y])),
        ),
        Mistake(
            "the mean must be over the n examples; this was divided by the number of entries.",
            -np.log(of_label).sum() / x.size,
        ),
        Mistake(
            "the softmax is missing: these are the logits at the labels.",
            -x[np.arange(n), y].mean(),
        ),
        Mistake(
            "mean first, logarithm second: the loss is the mean of the logarithms.",
            -np.log(of_label.mean()),
        ),
        Mistake(
            "that is the logarithm to base 2; take the natural one, np.log.",
            -np.log2(of_label).mean(),
        ),
        Mistake(
            "that is the logarithm to base 10; take the natural one, np.log.",
            -np.log10(of_label).mean(),
        ),
        Mistake(
            "these are the printed example's numbers, whatever was fed.",
            when=numbers_that(
                lambda v: not np.array_equal(x, PRINTED[0]) and abs(v - loss_of(*PRINTED)) < 2e-4
            ),
        ),
    ]


def wrong_gradients(x: Any, y: Any) -> list[Mistake]:
    """What goes wrong in `backward`, and what it then computes."""
    p, n, k = softmax_of(x), len(y), x.shape[1]
    hot = onehot(y, k)
    right = (p - hot) / n
    return [
        Mistake("zeros: nothing flows back to the logits.", np.zeros_like(x)),
        Mistake("you forgot to divide by the batch size n: the loss is a mean.", p - hot),
        Mistake("those are the probabilities; 1 is still to be subtracted at the label.", p / n),
        Mistake(
            "those are the probabilities; 1 is still to be subtracted at the label, and the whole "
            "divided by n.",
            p,
        ),
        Mistake("the sign is the other way round: probabilities minus one-hot.", -right),
        Mistake("the sign is the other way round, and the division by n is missing.", hot - p),
        Mistake(
            "only the label's logit got a gradient; the others are in the softmax's sum.",
            right * hot,
        ),
        Mistake(
            "this stops at the probabilities, -1/p; the softmax's derivative is missing.",
            -hot / p / n,
        ),
        Mistake(
            "this stops at the probabilities, -1/p; the softmax's derivative is missing.", -hot / p
        ),
        Mistake(
            "you divided by the number of classes; the mean is over the n examples.", (p - hot) / k
        ),
        Mistake(
            "you divided by the number of entries; the mean is over the n rows.", (p - hot) / x.size
        ),
        Mistake(
            "you divided by n before you subtracted the 1: the 1 has to be divided, too.",
            p / n - hot,
        ),
        Mistake(
            "p[:, y] changes whole columns: one entry of each row is p[np.arange(n), y].",
            lambda: (p - np.isin(np.arange(k), y)) / n,
        ),
        Mistake("these are the logits minus one-hot; it is the probabilities.", (x - hot) / n),
        Mistake(
            "these are the printed example's numbers, whatever was fed.",
            when=lambda dx: not np.array_equal(x, PRINTED[0]) and about(gradient_of(*PRINTED))(dx),
        ),
    ]
