"""The check of `digits`: two networks of the learner's own nodes, trained here by the learner's
own loop and plans, and measured on MNIST's validation images: a learner who changes a plan because
of what a check says has chosen by the images that it looked at.

What is trained takes seconds, so it is trained only once all that leads up to it is right.
"""

import weakref
from types import ModuleType
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.compiler.threads import one_thread_if_small
from miniflow.datasets import Dataset
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.checks.digits_networks import images_of, layers_of, network_of
from miniflow.lab.checks.digits_training import other_rows, same_rows
from miniflow.lab.checks.recognising import is_nothing

exercise = Exercise(
    "digits",
    title="Handwritten digits, read by your own nodes",
    chapter=12,
    file="digits.py",
    needs=("linear", "sigmoid", "cross_entropy", "sgd"),
    seconds=120.0,
    hints=(
        "one_layer: two Parameters, Linear(X, W, b), CrossEntropyWithSoftmax(logits, y), and a "
        "Network of all that. accuracy_on: value(network.logits, ...), argmax(axis=1), compare "
        "with the labels. train: next_batch, value_and_grad, sgd_step. For question 1: W has a row "
        "for each pixel and a column for each logit; b has a number for each logit.",
        "train, in each step: images, labels = digits.train.next_batch(batch_size); loss, "
        "gradients = value_and_grad(network.loss, {network.X: images, network.y: labels}, "
        "wrt=network.parameters); sgd_step([p.value for p in network.parameters], gradients, "
        "learning_rate). two_layers: start both matrices with random_weights, of shapes "
        "(784, hidden) and (hidden, 10).",
        "BATCH_SIZE = 64, ONE_LAYER = [(1000, 0.5)] and TWO_LAYERS = [(3000, 1.5), (1000, 0.15)] "
        "are good plans. accuracy_on: np.mean(value(network.logits, {network.X: "
        "data.images}).argmax(axis=1) == data.labels).",
    ),
)

IMAGES = 1_000_000  # that a plan may show, at most

# Modules whose train, and then whose one layer, have been found right in this check.
_can_train: "weakref.WeakSet[ModuleType]" = weakref.WeakSet()
_reads_with_one: "weakref.WeakSet[ModuleType]" = weakref.WeakSet()


# --- The questions


@exercise.part("question 1: how many numbers", points=1)
def numbers(work: Work) -> None:
    work.answer(
        "numbers_in_one_layer",
        7850,
        mistakes=[
            Mistake("that is W alone; b has 10 more, one for each logit.", 7840),
            Mistake("`b` has one number for each logit, not a single one.", 7841),
            Mistake("`b` has one number for each logit, not for each pixel.", 7840 + 784),
            Mistake("each of the ten logits has 784 weights of its own.", 794),
        ],
    )


@exercise.part("question 2: accuracy by hand", points=1)
def accuracy_by_hand(work: Work) -> None:
    work.answer(
        "accuracy_of_four",
        0.75,
        mistakes=[
            Mistake("that is a count; accuracy is a share, of four images.", 3),
            Mistake("accuracy is a share, from 0 to 1.", 75),
            Mistake(
                "look at the second row again: the largest of -1, -3, -2 is -1, at index 0.", 1.0
            ),
            Mistake("that is the share that is wrong.", 0.25),
            Mistake(
                "only the place of the largest logit counts: which rows have it at the label?", 0.5
            ),
        ],
    )


@exercise.part("question 3: a network that starts with zeros", points=1)
def zeros(work: Work) -> None:
    work.answer(
        "different_columns",
        1,
        mistakes=[
            Mistake(
                "nothing ever makes two of them differ: same value, same gradient, same step.", 100
            ),
            Mistake(
                "each of the ten logits could want another, but all hidden numbers are the same.",
                10,
            ),
            Mistake("they move, but together: that is one column, 100 times.", 0),
            Mistake("784 are its rows; its columns are the hidden numbers.", 784),
        ],
    )


# --- The networks, before any training


@exercise.part("one_layer: your Linear and your CrossEntropyWithSoftmax", points=1)
def one(work: Work) -> None:
    network = network_of(work, "one_layer")
    layers = layers_of(network)
    if layers != ["Linear", "CrossEntropyWithSoftmax"]:
        work.fail(
            f"one layer is a Linear and a CrossEntropyWithSoftmax; yours is {', '.join(layers)}.",
            ran="one_layer()",
            at=work.module.one_layer,
        )


@exercise.part("accuracy_on: the share of largest logits at the label", points=1)
def accuracy_of_network(work: Work) -> None:
    network, function = network_of(work, "one_layer"), work.get("accuracy_on")
    for parameter in network.parameters:
        parameter.value[...] = work.rng.normal(0, 1, parameter.value.shape)
    images, _ = images_of(work, 40)
    logits = mf.value(network.logits, {network.X: images})
    largest = np.argmax(logits.max(axis=1))  # in row 0, so that its place is one of a class
    images[[0, largest]] = images[[largest, 0]]
    logits[[0, largest]] = logits[[largest, 0]]
    answers = logits.argmax(axis=1)
    labels = np.where(np.arange(40) < 27, answers, (answers + 1) % 10)
    data = Dataset(images, labels)
    work.describe("accuracy_on(network, data), with 27 of 40 right", function)
    with work.untouched(parameters=network.parameters[0].value):
        share = function(network, data)
    work.compare(
        share,
        27 / 40,
        what="accuracy",
        mistakes=[
            Mistake("that is a count; divide it by the number of images.", 27),
            Mistake("accuracy is a share, from 0 to 1, and this is in percent.", 67.5),
            Mistake("that is the share that is wrong.", 13 / 40),
            Mistake("nothing is returned: end with `return`.", when=is_nothing),
            Mistake("that is a list of right and wrong; take its mean.", answers == labels),
            Mistake(
                "wrong axis: the largest logit of each row is argmax(axis=1).",
                np.mean(logits.argmax() == labels),
            ),
        ],
    )


# --- The training loop, against three steps in plain NumPy


@exercise.part("train: three steps are the right ones", points=2)
def loop(work: Work) -> None:
    train = work.get("train")
    same_rows(work, train)
    other_rows(work, train)
    _can_train.add(work.module)


# --- What it comes to


def plan_of(work: Work, name: str) -> tuple[list[tuple[int, float]], int]:
    """The learner's plan, once it is known to be one, and the batch size."""
    plan, batch = getattr(work.module, name, None), getattr(work.module, "BATCH_SIZE", None)
    if "Ellipsis" in f"{plan} {batch}" or plan is None or batch is None:
        work.fail(f"BATCH_SIZE and {name} are not chosen yet.", kind="unsolved")
    try:
        steps = [(int(steps), float(size)) for steps, size in plan]
        batch = int(batch)
    except (TypeError, ValueError, OverflowError):
        steps = []
    if not steps or batch < 1 or min(number for number, _ in steps) < 1:
        work.fail(
            f"{name} must be a list of pairs, [(steps, learning rate), ...], and BATCH_SIZE a "
            "number."
        )
    shown = batch * sum(number for number, _ in steps)
    if shown > IMAGES:
        work.fail(
            f"{name} shows {shown:,} images, and the check has time for {IMAGES:,}: take fewer "
            "steps, or smaller batches."
        )
    return steps, batch


def train_and_read(work: Work, name: str, plan_name: str, network: Any) -> float:
    """Train the network by the learner's plan; the accuracy on the validation images."""
    if work.module not in _can_train:
        work.fail("first the parts above: what they ask for is what is trained here.")
    plan, batch = plan_of(work, plan_name)
    digits = mf.datasets.mnist()
    train = work.module.train
    ran = f"train({name}(), mnist(), ...) by {plan_name} = {plan}, in batches of {batch}"
    with work.running(ran, train), one_thread_if_small(2 * batch * 784 * 100):
        for steps, learning_rate in plan:
            losses = train(network, digits, steps, learning_rate, batch, every=0)
            if not np.isfinite(np.sum(losses)):
                work.fail("the loss is not finite any more: the steps are too large.")
        logits = mf.value(network.logits, {network.X: digits.validation.images})
    return float(np.mean(logits.argmax(axis=1) == digits.validation.labels))


@exercise.part("one layer reads more than 90 % of MNIST's validation images", points=2)
def reads_with_one(work: Work) -> None:
    share = train_and_read(work, "one_layer", "ONE_LAYER", network_of(work, "one_layer"))
    if share <= 0.90:
        work.fail(
            f"one layer reads {share:.2%} of the validation images, and more than 90 % is wanted: "
            f"{advice(share)}"
        )
    _reads_with_one.add(work.module)


def advice(share: float) -> str:
    if share < 0.5:
        return "try a learning rate between 0.1 and 2, and at least some hundred steps."
    return "take more steps, or larger ones and then some that are ten times smaller."


@exercise.part("two_layers: Linear, your Sigmoid, Linear, random first weights", points=1)
def two(work: Work) -> None:
    network, function = network_of(work, "two_layers"), work.get("two_layers")
    layers = layers_of(network)
    work.describe("two_layers()", function)
    if layers.count("Linear") < 2:
        work.fail("two layers are two Linears, with a Sigmoid between them.")
    first, last = layers.index("Linear"), len(layers) - 1 - layers[::-1].index("Linear")
    if all(layer == "Linear" for layer in layers[first : last + 1]):
        work.fail(
            "nothing bends between the two Linears, so together they are one: put a Sigmoid there."
        )
    between = layers[first + 1 : last]
    if len(between) > 1 and len(set(between)) == 1:
        work.fail(
            f"{len(between)} times {between[0]} between the two Linears: one bends enough, and "
            "each more flattens the slope."
        )
    follows_hidden(work)
    for parameter in network.parameters:
        columns = parameter.value.T if parameter.value.ndim == 2 else None
        if columns is not None and len(columns) > 1 and np.ptp(columns, axis=0).max() == 0:
            work.fail(
                f"all columns of {parameter.label} are the same, and would stay so: start with "
                f"random_weights."
            )


def follows_hidden(work: Work) -> None:
    """Fail unless `two_layers(7)` has 7 numbers between its layers."""
    ran = "two_layers(hidden=7)"
    network = network_of(work, "two_layers", hidden=7)
    shapes = [p.value.shape for p in network.parameters if np.ndim(p.value) == 2]
    work.require(
        sorted(shapes) == [(7, 10), (784, 7)],
        "`hidden` is not used: two_layers(hidden=7) must have W1 of shape (784, 7) and W2 of shape "
        f"(7, 10), and has {' and '.join(map(str, shapes))}.",
        ran=ran,
        at=work.module.two_layers,
    )


@exercise.part("two layers read more than 97 % of MNIST's validation images", points=4)
def reads_with_two(work: Work) -> None:
    network = network_of(work, "two_layers")
    work.require(work.module in _reads_with_one, "first the parts above: one layer above 90 %.")
    with work.running("two_layers()"):
        two(work)
    share = train_and_read(work, "two_layers", "TWO_LAYERS", network)
    if share <= 0.97:
        work.fail(
            f"two layers read {share:.2%} of the validation images, and more than 97 % is wanted: "
            f"{advice(share)}"
        )
