"""What is said of a training before and after it, and the pictures that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from miniflow.cli.runs import Options, Run
from miniflow.cli.saying import say
from miniflow.datasets.augmentation import Augmented
from miniflow.datasets.image_shapes import height_width_channels
from miniflow.distributed import is_first
from miniflow.layers.networks import Network
from miniflow.training.history import History

if TYPE_CHECKING:
    from miniflow.datasets import Dataset, Splits


def introduce(
    run: Run,
    options: Options,
    network: Network,
    splits: Splits,
    examples: Dataset | Augmented,
    what: str,
) -> None:
    """Say what is going to be trained, on what, and where it goes."""
    counts = [f"{len(part):,}" for part in splits]
    varied = f"augment  {examples.limits}\n" if isinstance(examples, Augmented) else ""
    say(
        f"data     {options.data}: {counts[0]} {what} to train on, {counts[1]} for validation, "
        f"{counts[2]} for the test\n"
        f"{varied}"
        f"network  {network}: {network.parameter_count():,} parameters\n"
        f"backend  {options.backend}\n"
        f"folder   {run.folder}\n"
    )


def say_how_to_go_on(run: Run) -> None:
    """After Ctrl-C, when the run's model file is there; of several processes one says so."""
    if not is_first():
        return
    say(
        f"\nStopped. {run.model} has the best model so far; to go on:\n"
        f"  miniflow train --resume --out {run.folder}",
        err=True,
    )


def draw_reports(
    run: Run,
    history: History,
    best: int,
    test: Dataset,
    probabilities: np.ndarray,
    table: bool = False,
) -> None:
    """Draw how the training went, and what the network takes for what among the test images, or
    the rows of a table, of which there are no pictures.
    """
    from miniflow.reports import confusion_matrix, learning_curve, worst_mistakes

    classes = probabilities.shape[1]
    cells = test.labels * classes + probabilities.argmax(axis=1)
    counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    known = test.class_names or ()  # a network may have more outputs than there are classes
    class_names = [*known, *(str(k) for k in range(len(known), classes))]
    learning_curve(history, run.learning_curve, best=best)
    confusion_matrix(counts, class_names, run.confusion_matrix)
    names = [run.learning_curve.name, run.confusion_matrix.name]
    shape = picture_shape(test.image_shape)
    if shape is not None and not table:
        worst_mistakes(
            test.images,
            test.labels,
            probabilities,
            run.mistakes,
            image_shape=shape,
            class_names=class_names,
        )
        names.append(run.mistakes.name)
    say(f"\nSaved in {run.folder}: {', '.join([run.model.name, run.history.name, *names])}")


def picture_shape(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Height and width of images of this shape; None if they are no grey pictures.

    >>> picture_shape((28, 20)), picture_shape((784,)), picture_shape((8, 8, 3))
    ((28, 20), (28, 28), None)
    """
    found = height_width_channels(shape)
    return found[:2] if found is not None and found[2] == 1 else None
