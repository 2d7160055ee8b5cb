"""`miniflow train`: its options, and which run they are about; `train_run` trains it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miniflow.backends import DEVICES, RUN, find, names
from miniflow.cli.arguments import finite
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
from miniflow.cli.runs import (
    NAMES,
    WRITERS,
    choose_run,
    data_source,
    init_source,
    settle_options,
)
from miniflow.cli.saying import say
from miniflow.cli.train_run import sides_of, train_in
from miniflow.distributed.joining import HEARTBEAT, JOIN_TIMEOUT, LEAVE_TIMEOUT
from miniflow.distributed.meeting import is_first
from miniflow.layers.networks import CNN
from miniflow.options import file_path
from miniflow.training.changes import SettingsWarning
from miniflow.training.sharing import check_divides
from miniflow.training.stepping import backend_names, checked_backend

if TYPE_CHECKING:
    pass

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
            callback=finite,
            metavar="RATE",
            help="The largest learning rate; it rises to that and falls to 0.  "
            "[default: 0.1 for sgd, 0.002 for adam and adamw, 0.001 for rmsprop]",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            callback=finite,
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
