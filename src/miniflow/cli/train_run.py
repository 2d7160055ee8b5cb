"""A training run: the data, the network and the optimizer that its options name, and `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.cli.classifiers import notes_for, probabilities_of
from miniflow.cli.report import write_run_report
from miniflow.cli.runs import NAMES, WRITERS, Options, Run, find_model
from miniflow.cli.saying import say
from miniflow.cli.train_callbacks import Notes, keep_best
from miniflow.cli.train_output import draw_reports, introduce, say_how_to_go_on
from miniflow.compiler.threads import one_thread_if_small
from miniflow.datasets.augmentation import augmented
from miniflow.distributed.meeting import is_first
from miniflow.errors import shown
from miniflow.layers.networks import Network, network_for
from miniflow.models import load as load_model
from miniflow.models import load_weights, save
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.options import OptionError
from miniflow.schedules import CosineDecay
from miniflow.training import fit
from miniflow.training.checkpoints import checkpoint_exists

if TYPE_CHECKING:
    from miniflow.datasets import Splits
    from miniflow.datasets.tables import TableForm


def train_in(run: Run, options: Options, going_on: bool, log: str | None = None) -> None:
    """Train with these options, in this folder: on from its checkpoint, or from the beginning."""
    if options.model in WRITERS:
        train_text_in(run, options, going_on, log)
        return
    form, splits = load_data(options)
    classes = len(splits.train.class_names or ())
    classes = max([classes, *(1 + int(part.labels.max()) for part in splits)])
    rng = np.random.default_rng(options.seed)
    train = splits.train
    network = network_for(
        options.model, train.images.shape[1], train.image_shape, classes, rng, options.dropout
    )
    examples = augmented(train) if options.augment else train
    optimizer = optimizer_for(options, len(train))
    begins = not (going_on and checkpoint_exists(run.checkpoint))
    taken = begin_with(options.init, network) if options.init and begins else ""
    run.prepare(options, going_on, log)
    introduce(run, options, network, splits, examples, "images" if form is None else "rows")
    if taken:
        say(taken)
    notes = notes_for(options, examples, form)
    best = keep_best(options, "validation_accuracy", lambda _: save_logits(network, run, notes))
    with one_thread_if_small(options.batch_size * network.work):
        try:
            history = fit(
                network.loss,
                examples,
                optimizer,
                epochs=options.epochs,
                batch_size=options.batch_size,
                validation=splits.validation,
                callbacks=[best, Notes(run, log)],
                rng=rng,
                checkpoint=run.checkpoint,
                resume=going_on,
                backend=options.backend,
            )
        except KeyboardInterrupt:
            if not run.model.exists():  # else it is the best epoch's
                save_logits(network, run, notes)
            say_how_to_go_on(run)
            raise
        save_logits(network, run, notes)
        if not is_first():
            return
        trained = load_model(run.model)
        probabilities = probabilities_of(trained, splits.test.images)
    draw_reports(run, history, best.epoch, splits.test, probabilities, form is not None)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == splits.test.labels))
    write_run_report(run, options, network, trained, splits.test, accuracy)
    say(f"report: {run.report}")
    say(f"test accuracy: {accuracy:.4f}")


def train_text_in(run: Run, options: Options, going_on: bool, log: str | None) -> None:
    """The same, for a network that writes."""
    from miniflow.cli.train_writer import train_writer
    from miniflow.cli.writers import read_text

    text = read_text(options)
    optimizer = optimizer_for(options, text.steps(options.batch_size) * options.batch_size)
    run.prepare(options, going_on, log)
    train_writer(run, options, optimizer, text, Notes(run, log), going_on)


def begin_with(init: str, network: Network) -> str:
    """Take the weights of a model, as far as they fit; what there is to say of it."""
    path, _ = find_model(init)
    report = load_weights(network.loss, path, strict=False)
    return f"init     {path}\n  " + str(report).replace("\n", "\n  ") + "\n"


def load_data(options: Options) -> tuple[TableForm | None, Splits]:
    """What the options name as data; of a table, the form in which it was read as well."""
    from miniflow.datasets import load
    from miniflow.datasets.tables import is_table, load_table

    if options.data == NAMES:
        raise OptionError(
            "The names are text: --model gpt and --model char-rnn learn to write them."
        )
    if not is_table(options.data):
        if options.target:
            raise OptionError(f"--target is a column of a .csv file, and {options.data} is none.")
        size = sides_of(options.image_size) if options.image_size else None
        return None, load(options.data, image_size=size, color=options.color)
    if options.color or options.image_size:
        raise OptionError(f"--color and --image-size are for pictures, and {options.data} is none.")
    if not options.target:
        raise OptionError(f"{options.data}: say which column is to be predicted: --target COLUMN.")
    return load_table(options.data, options.target)


def sides_of(text: str) -> tuple[int, int]:
    """Height and width, as they are typed.

    >>> sides_of("48"), sides_of("48x64")
    ((48, 48), (48, 64))
    """
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 2 or not all(s.isascii() and s.isdigit() and 0 < int(s) <= 512 for s in sides):
        raise OptionError(
            f"--image-size is 48, or 48x64 (height and width), of 1 to 512 pixels, not "
            f"{shown(text, 40)!r}."
        )
    return int(sides[0]), int(sides[-1])


def optimizer_for(options: Options, examples: int) -> Optimizer:
    """The optimizer that an option names, its learning rate rising for a tenth of the updates."""
    steps = options.epochs * -(-examples // options.batch_size)
    schedule = CosineDecay(options.lr, steps, warmup=steps // 10)
    optimizers: dict[str, Callable[[], Optimizer]] = {
        "sgd": lambda: SGD(schedule, momentum=0.9, weight_decay=options.weight_decay),
        "adam": lambda: Adam(schedule),
        "adamw": lambda: AdamW(schedule, weight_decay=options.weight_decay),
        "rmsprop": lambda: RMSprop(schedule),
    }
    if options.optimizer not in optimizers:  # a run.json may say anything
        raise OptionError(f"There is no optimizer '{shown(options.optimizer, 40)}'.")
    if options.weight_decay and options.optimizer not in ("sgd", "adamw"):
        raise OptionError(
            f"--weight-decay is for sgd and adamw; {options.optimizer} has none, and adamw is adam "
            "with it."
        )
    return optimizers[options.optimizer]()


def save_logits(network: Network, run: Run, notes: dict[str, Any]) -> None:
    """Write the run's model file: from images to logits."""
    if not is_first():
        return
    example = np.zeros((1, network.inputs), np.float32)
    save(network.logits, run.model, inputs={network.X: example}, notes=notes)
