"""`miniflow train`: from data to a run folder with a model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from miniflow.backends import DEVICES, RUN, find, names
from miniflow.cli.classifiers import notes_for, probabilities_of
from miniflow.cli.hosts import (
    CoordinatorOption,
    DevicesOption,
    HeartbeatOption,
    HostOption,
    HostsOption,
    JoinTimeoutOption,
    LeaveTimeoutOption,
    check_command,
    chosen_backend,
    join,
    share_run,
)
from miniflow.cli.report import write_run_report
from miniflow.cli.runs import (
    NAMES,
    WRITERS,
    Options,
    Run,
    choose_run,
    data_source,
    find_model,
    init_source,
    settle_options,
)
from miniflow.cli.saying import as_json_number, say
from miniflow.compiler.threads import one_thread_if_small
from miniflow.datasets.augmentation import Augmented, augmented
from miniflow.datasets.image_shapes import height_width_channels
from miniflow.distributed.joining import HEARTBEAT, JOIN_TIMEOUT, LEAVE_TIMEOUT
from miniflow.distributed.meeting import is_first
from miniflow.errors import shown
from miniflow.files.atomic import write_text
from miniflow.layers.networks import CNN, Network, network_for
from miniflow.models import load as load_model
from miniflow.models import load_weights, save
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.options import OptionError, file_path
from miniflow.schedules import CosineDecay
from miniflow.training import Training, fit
from miniflow.training.callbacks import Callback, EarlyStopping, KeepBest
from miniflow.training.changes import SettingsWarning
from miniflow.training.checkpoints import checkpoint_exists
from miniflow.training.history import Epoch, History
from miniflow.training.sharing import check_divides
from miniflow.training.stepping import backend_names, checked_backend

if TYPE_CHECKING:
    from miniflow.datasets import Dataset, Splits
    from miniflow.datasets.tables import TableForm

LEARNING_RATES = {"sgd": 0.1, "adam": 0.002, "adamw": 0.002, "rmsprop": 0.001}
OWN_DEFAULTS: dict[str, dict[str, Any]] = {
    CNN: {"epochs": 12, "augment": True, "dropout": 0.5},
    **{writer: {"data": NAMES, "epochs": 10, "optimizer": "adam"} for writer in WRITERS},
}


class OptimizerName(StrEnum):
    sgd = "sgd"
    adam = "adam"
    adamw = "adamw"
    rmsprop = "rmsprop"


COMPILED_BY = " or ".join(f"{find(name)}" for name in names(RUN, DEVICES))
BackendName = StrEnum("BackendName", {name: name for name in backend_names()})  # type: ignore[misc]


def train(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|SIZES",
            help="linear, mlp, cnn (which convolves), or the sizes of all layers, as in "
            "784-300-100-10; or gpt or char-rnn, which write.  [default: mlp]",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER|FILE",
            help="mnist, fashion-mnist, kmnist, emnist (or emnist-letters, -digits, ...); a folder "
            "of IDX files; a folder with a subfolder of pictures for each class; an .npz file "
            "with images and labels; or a .csv file, with --target. For gpt and char-rnn: names, "
            "or a text file, each line an example.  [default: mnist, and names for these]",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of a .csv file: the column to predict, a class."),
    ] = None,
    color: Annotated[
        bool | None,
        typer.Option(
            "--color/--no-color",
            help="Of a folder of pictures: keep their colours.  [default: grey]",
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|HxW",
            help="Of a folder of pictures: make them fit into so many pixels, 48 or 48x64.  "
            "[default: their size, if it is one and at most 64x64, else 28]",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How often to go through the data.  [default: 8; 12 for cnn, 10 for gpt and "
            "char-rnn]",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Images in a batch.  [default: 128]")
    ] = None,
    optimizer: Annotated[
        OptimizerName | None,
        typer.Option(
            help="How the parameters are moved.  [default: sgd; adam for gpt and char-rnn]"
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="RATE",
            help="The largest learning rate; it rises to that and falls to 0.  "
            "[default: 0.1 for sgd, 0.002 for adam and adamw, 0.001 for rmsprop]",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="RATE",
            help="How much weights are pulled towards 0, for sgd and adamw.  "
            "[default: 0, and 0.01 for adamw]",
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SHARE",
            help="The share of hidden numbers that a training step leaves out.  "
            "[default: 0, and 0.5 for cnn]",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="End the training when no epoch was better for so many.  [default: never]",
        ),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment",
            help="Shift, turn and scale each image a little, anew each time.  [default: for cnn]",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Begin with the weights of a model file or a run, or of digits, the model that "
            "comes with miniflow, as far as they fit.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Same seed, same model.  [default: 0]"),
    ] = None,
    backend: Annotated[
        BackendName | None,
        typer.Option(
            help=f"What computes: compiled code, by {COMPILED_BY}, or the interpreter; auto "
            "compiles what can be compiled.  [default: auto]"
        ),
    ] = None,
    devices: DevicesOption = None,
    hosts: HostsOption = None,
    host: HostOption = None,
    coordinator: CoordinatorOption = None,
    join_timeout: JoinTimeoutOption = JOIN_TIMEOUT,
    heartbeat: HeartbeatOption = HEARTBEAT,
    leave_timeout: LeaveTimeoutOption = LEAVE_TIMEOUT,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="The run folder.  [default: runs/DATA-MODEL, numbered if taken]"
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Write the history there, too: for programs, a JSON object a line for each epoch.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in that folder, if there is one.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the run in that folder, if there is one.")
    ] = False,
) -> None:
    """Train a network and keep it in a run folder.

    \b
    Examples:
      miniflow train
      miniflow train --model cnn
      miniflow train --model linear --epochs 5
      miniflow train --model 784-300-100-10 --optimizer adam --out runs/deep
      miniflow train --data my-digits/ --seed 7
      miniflow train --data fashion-mnist
      miniflow train --data iris.csv --target species
      miniflow train --model cnn --data pets/ --color --image-size 48
      miniflow train --epochs 50 --patience 5 --dropout 0.2 --log training.jsonl
      miniflow train --resume --out runs/deep
      miniflow train --resume --epochs 20 --out runs/deep
      miniflow train --model cnn --data my-digits/ --init digits
      miniflow train --model gpt
      miniflow train --model char-rnn --data cities.txt
      miniflow train --backend jax --devices all
      miniflow train --backend jax --hosts 2 --host 0 --coordinator node-a:9900 --out runs/both

    A run that was stopped by Ctrl-C or killed goes on with --resume, from the last complete
    epoch, and ends with the very model that it would have had. With more --epochs it goes on for
    longer, at the learning rates of that many epochs.

    The folder holds model.safetensors (the best epoch's), history.csv, learning_curve.png,
    confusion_matrix.png, mistakes.png and report.html, a page with all of it and, for images of
    28 × 28 pixels, a sheet to draw digits on. That of a network that writes has attention.png and
    what it wrote after each epoch; `miniflow generate` has it write more.
    """  # noqa: D301 (\b keeps the lines apart)
    given: dict[str, Any] = {
        "model": model,
        "data": None if data is None else data_source(data),
        "target": target,
        "color": color,
        "image_size": None if image_size is None else "{}x{}".format(*sides_of(image_size)),
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": None if optimizer is None else optimizer.value,
        "lr": lr,
        "weight_decay": weight_decay,
        "dropout": dropout,
        "patience": patience,
        "augment": augment,
        "init": None if init is None else init_source(init),
        "seed": seed,
        "backend": None if backend is None else checked_backend("train", backend.value),
    }
    used = given["backend"] = chosen_backend(given["backend"], devices)
    join(used, hosts, host, coordinator, (join_timeout, heartbeat, leave_timeout))
    check_command({**given, "devices": devices, "out": out, "resume": resume, "force": force})
    given = {name: value for name, value in given.items() if value is not None}
    if resume and force:
        raise typer.BadParameter("--resume and --force exclude each other.")
    run, kept, options, going_on = None, None, None, False
    if is_first():
        options = settle_options(given, None, LEARNING_RATES, OWN_DEFAULTS)
        run = choose_run(out, options, resume, force)
        going_on = resume and run.exists()
        kept = run.read_options() if going_on else None
        options = settle_options(given, kept, LEARNING_RATES, OWN_DEFAULTS)
    run, options, going_on = share_run(run, options, going_on)
    if used is not None:
        options = replace(options, backend=used)  # with its devices
        check_divides(used, options.batch_size)  # before there is a folder
    log_to = None if log is None else file_path("train", log, "log")
    with warnings.catch_warnings():
        if kept is not None and options.epochs > kept.epochs:
            say(f"{run.folder} was to have {kept.epochs} epochs, and goes on to {options.epochs}.")
            warnings.filterwarnings("ignore", category=SettingsWarning)  # the schedule, as is said
            run.write_options(options)
        train_in(run, options, going_on, log_to)


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
    run.prepare(options, going_on)
    introduce(run, options, network, splits, examples, "images" if form is None else "rows")
    if options.init and not (going_on and checkpoint_exists(run.checkpoint)):
        begin_with(options.init, network)
    notes = notes_for(options, examples, form)
    best = keep_best(options, lambda _: save_logits(network, run, notes))
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
            say_how_to_go_on(run, network, notes)
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
    run.prepare(options, going_on)
    train_writer(run, options, optimizer, text, Notes(run, log), going_on)


def begin_with(init: str, network: Network) -> None:
    """Take the weights of a model, as far as they fit, and say which."""
    path, _ = find_model(init)
    report = load_weights(network.loss, path, strict=False)
    say(f"init     {path}\n  " + str(report).replace("\n", "\n  ") + "\n")


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


def keep_best(options: Options, on_best: Callable[[Training], None]) -> KeepBest:
    """The callback that keeps the best epoch's parameters, and ends a training that has one's
    patience.
    """
    if not options.patience:
        return KeepBest("validation_accuracy", on_best=on_best)
    stopping = EarlyStopping("validation_accuracy", patience=options.patience)
    stopping.on_best = on_best
    return stopping


def save_logits(network: Network, run: Run, notes: dict[str, Any]) -> None:
    """Write the run's model file: from images to logits."""
    if not is_first():
        return
    example = np.zeros((1, network.inputs), np.float32)
    save(network.logits, run.model, inputs={network.X: example}, notes=notes)


class Notes(Callback):
    """Writes the history after each epoch, and says where a resumed run begins."""

    def __init__(self, run: Run, log: str | None = None) -> None:
        self._run, self._log = run, log

    def on_train_begin(self, training: Training) -> None:
        if self._log is not None and is_first():
            write_text(self._log, log_lines(training.history))  # told now, if it cannot be written
        if training.epoch >= training.epochs:
            say(f"{self._run.folder} is finished: {training.epochs} epochs are done.")
        elif training.stop:
            say(f"{self._run.folder} is finished: no epoch was better for as many as it waits.")
        elif training.epoch:
            say(f"Going on after epoch {training.epoch}.")

    def on_epoch_end(self, training: Training) -> None:
        if not is_first():
            return
        training.history.to_csv(self._run.history)
        if self._log is not None:
            write_text(self._log, log_lines(training.history))


def log_lines(history: Sequence[Epoch]) -> str:
    """The epochs as JSON, one a line; what is not known, or no number, is null.

    >>> print(log_lines([Epoch(1, 0.5, 0.9, None, None, 1.25, 0.1)]), end="")
    {"epoch": 1, "loss": 0.5, "accuracy": 0.9, "validation_loss": null, "validation_accuracy": null, "seconds": 1.25, "learning_rate": 0.1}
    """  # noqa: E501 (a line is one line)
    rows = ({n: as_json_number(x) for n, x in row.columns().items()} for row in history)
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)


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


def say_how_to_go_on(run: Run, network: Network, notes: dict[str, Any]) -> None:
    """After Ctrl-C: the best model is there, or, before the first epoch is complete, this one."""
    if not run.model.exists():
        save_logits(network, run, notes)
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
