"""The four questions of `cross_entropy`, and what likely wrong answers deserve to hear."""

import numpy as np

from miniflow.lab.checking import Mistake, Work


def shapes(work: Work) -> None:
    work.answer(
        "shape_along_axis_0",
        (5,),
        mistakes=[
            Mistake("axis=0 is the direction that disappears: the 3 rows are added up.", (3,)),
            Mistake("that is with keepdims=True; without it, the axis is gone.", (1, 5)),
            Mistake("a shape is a tuple: one number is written (4,).", 5),
            Mistake("that is the shape of X; the axis that is summed disappears.", (3, 5)),
        ],
    )
    work.answer(
        "shape_along_axis_1_kept",
        (3, 1),
        mistakes=[
            Mistake("that is without keepdims: here the axis stays, with length 1.", (3,)),
            Mistake("that is axis=0: axis=1 adds up the 5 columns of each row.", (1, 5)),
            Mistake("the axis that is kept has length 1, and it is the one summed over.", (5, 1)),
            Mistake("a shape is a tuple, like (2, 7).", 3),
        ],
    )


def banana(work: Work) -> None:
    work.answer(
        "loss_of_the_banana",
        -np.log(0.25),
        tolerance=4e-3,
        mistakes=[
            Mistake("that is -log 0.5, the apple's: it is a banana.", -np.log(0.5)),
            Mistake("the loss is never negative: put a minus before the logarithm.", np.log(0.25)),
            Mistake(
                "that is with the logarithm to base 10; take the natural one, np.log.",
                -np.log10(0.25),
            ),
            Mistake("that is with the logarithm to base 2; take the natural one, np.log.", 2.0),
            Mistake("that is 1 - p: the loss is -log p.", 0.75),
            Mistake("that is its probability: the loss is -log of it.", 0.25),
            Mistake(
                "you added up all three; one-hot leaves only the banana's.",
                -np.log(0.5 * 0.25 * 0.25),
            ),
        ],
    )


def by_hand(work: Work) -> None:
    work.answer(
        "gradient_of_the_banana",
        [0.5, -0.75, 0.25],
        mistakes=[
            Mistake("you subtracted 1 at the apple; the label is the banana.", [-0.5, 0.25, 0.25]),
            Mistake(
                "those are the probabilities; the one-hot label is still to be subtracted.",
                [0.5, 0.25, 0.25],
            ),
            Mistake(
                "the sign is the other way round: probabilities minus one-hot.", [-0.5, 0.75, -0.25]
            ),
            Mistake("that stops at the softmax: the derivative goes on to the logits.", [0, -4, 0]),
            Mistake(
                "every logit has a part in the banana's probability, so none gets 0.", [0, -0.75, 0]
            ),
            Mistake(
                "that is divided by 3, the classes; the mean is over examples, and here is one.",
                [0.5 / 3, -0.25, 0.25 / 3],
            ),
        ],
    )


def no_idea(work: Work) -> None:
    work.answer(
        "loss_of_no_idea",
        np.log(10),
        tolerance=4e-3,
        mistakes=[
            Mistake("that is the probability of each; the loss is -log of it.", 0.1),
            Mistake("the loss is never negative: -log 0.1.", -np.log(10)),
            Mistake(
                "only logits that are right and sure cost nothing; all the same means 0.1 each.", 0
            ),
            Mistake("that is with the logarithm to base 10; take the natural one, np.log.", 1),
            Mistake("that is 1 - p: the loss is -log p.", 0.9),
        ],
    )
