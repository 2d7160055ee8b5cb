"""Run folders: what a training leaves, where it leaves it, and how it is found again.

A run is a folder that holds `run.json`, the options that it was started with. The other files are
the model (of the best epoch), the checkpoint (to go on from) and what is to be looked at. No run is
ever written over another, unless the user says so.

Where no run is, there is still a model: the one that comes with miniflow.
"""

import csv
import json
import os
import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from miniflow.cli.saying import say
from miniflow.distributed.meeting import is_first, meeting
from miniflow.errors import MiniflowError, ModelFileError, shown
from miniflow.files.atomic import remove_leftovers, write_text
from miniflow.layers.networks import CNN
from miniflow.options import OptionError, whole
from miniflow.shipped import DIGITS, DIGITS_FILE
from miniflow.training.history import Epoch

RUNS = pathlib.Path("runs")
NAMES = "names"  # the text that comes with miniflow
WRITERS = ("gpt", "char-rnn")  # the networks that write
ADDED_LATER = (
    "init",
    "target",
    "color",
    "image_size",
)  # options that runs of earlier versions do not have
UNREADABLE = (ValueError, LookupError, TypeError, ArithmeticError)  # what kept options may raise


class RunError(MiniflowError):
    """A run folder is not where it is looked for, or is one that must not be touched."""


@dataclass(frozen=True)
class Options:
    """What a run was started with: everything that its result depends on."""

    model: str = "mlp"
    data: str = "mnist"
    epochs: int = 8
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    seed: int = 0
    backend: str = "auto"
    augment: bool = False
    dropout: float = 0.0
    weight_decay: float = 0.0
    patience: int = 0  # epochs without a better one that end the training; 0: none do
    init: str = ""
    target: str = ""
    color: bool = False
    image_size: str = ""


WEIGHT_DECAYS = {"adamw": 0.01}
"""Optimizer → its weight decay, where nobody says another."""


@dataclass(frozen=True)
class Run:
    """A run folder and its files."""

    folder: pathlib.Path

    @property
    def options(self) -> pathlib.Path:
        return self.folder / "run.json"

    @property
    def model(self) -> pathlib.Path:
        return self.folder / "model.safetensors"

    @property
    def checkpoint(self) -> pathlib.Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def previous_checkpoint(self) -> pathlib.Path:
        return self.folder / "checkpoint.previous.safetensors"

    @property
    def history(self) -> pathlib.Path:
        return self.folder / "history.csv"

    @property
    def learning_curve(self) -> pathlib.Path:
        return self.folder / "learning_curve.png"

    @property
    def confusion_matrix(self) -> pathlib.Path:
        return self.folder / "confusion_matrix.png"

    @property
    def mistakes(self) -> pathlib.Path:
        return self.folder / "mistakes.png"

    @property
    def attention(self) -> pathlib.Path:
        return self.folder / "attention.png"

    @property
    def report(self) -> pathlib.Path:
        return self.folder / "report.html"

    def files(self) -> list[pathlib.Path]:
        """All files that a run may have, in the order in which they are removed."""
        return [
            self.checkpoint,
            self.previous_checkpoint,
            self.model,
            self.history,
            self.learning_curve,
            self.confusion_matrix,
            self.mistakes,
            self.attention,
            self.report,
            self.options,
        ]

    def exists(self) -> bool:
        return self.options.exists()

    def read_options(self) -> Options:
        """The options that the run was started with. Raises ModelFileError if they are damaged."""
        try:
            return options_from(json.loads(self.options.read_text(encoding="utf-8")))
        except (*UNREADABLE, RecursionError) as error:
            raise ModelFileError(f"{self.options}: is damaged: {shown(error)}.") from error

    def write_options(self, options: Options) -> None:
        write_text(self.options, json.dumps(asdict(options), indent=2) + "\n")

    def rows(self) -> list[Epoch]:
        """The rows of the history; none if there is no history yet.

        Raises ModelFileError if they are damaged.
        """
        if not self.history.exists():
            return []
        try:
            text = self.history.read_text(encoding="utf-8")
            return [Epoch(*map(_number, row)) for row in list(csv.reader(text.splitlines()))[1:]]
        except (ValueError, TypeError, csv.Error) as error:
            raise ModelFileError(f"{self.history}: is damaged: {shown(error)}.") from error

    def prepare(self, options: Options, going_on: bool, log: str | None = None) -> None:
        """Make the folder ready for a training, which goes on with what is there, or not. Of
        several processes the first does so, and the others wait for it.

        A `log` that cannot be written is told while an older run is still there.
        """
        if is_first():
            self._prepare(options, going_on, log)
        if (together := meeting()) is not None:
            together.share(True)

    def _prepare(self, options: Options, going_on: bool, log: str | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.remove_leftovers()
        if not going_on:
            if log is not None:
                write_text(log, "")
            self.remove_files()
            self.write_options(options)

    def remove_files(self) -> None:
        for path in self.files():
            path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what this run was writing when it was killed."""
        for path in self.files():
            remove_leftovers(path)


def options_from(kept: Any) -> Options:
    """The options that were kept, as a dictionary, in a run or in a model file.

    Raises one of UNREADABLE if they are none.
    """
    known = {name: asdict(Options())[name] for name in ADDED_LATER}
    kinds = {name: type(default) for name, default in asdict(Options()).items()}
    before = {  # what runs were started with before there were these options
        "dropout": 0.5 if kept["model"] == CNN else 0.0,
        "weight_decay": WEIGHT_DECAYS.get(kept["optimizer"], 0.0),
        "patience": 0,
    }
    kept = before | known | kept
    options = Options(**{name: kind(kept[name]) for name, kind in kinds.items()})
    for name, least in (("epochs", 0), ("batch_size", 1), ("seed", 0)):
        whole("The run", name, getattr(options, name), least=least)
    return options


def _number(text: str) -> Any:
    return float(text) if text else None


def data_source(given: str) -> str:
    """What `--data` means, wherever it is said: the name of a set as it is, a path in full."""
    from miniflow.datasets import is_name

    return given if is_name(given) or given == NAMES else os.path.abspath(given)


def init_source(given: str) -> str:
    """What `--init` means: "digits" as it is, a path in full."""
    return (
        given
        if given == DIGITS and not _is_somebodys(pathlib.Path(given))
        else os.path.abspath(given)
    )


def choose_run(out: str | None, options: Options, resume: bool, force: bool) -> Run:
    """Where a training goes that starts now; nothing is created yet.

    Without `out`: `runs/mnist-mlp`, or, where that is taken, `runs/mnist-mlp-2` and so on; with
    `resume` the last of these.

    Raises RunError if the folder has another run's files and neither `resume` nor `force` is given.
    """
    if out is not None:
        run = Run(pathlib.Path(out))
        taken = [path for path in run.files() if path.exists()]
        if taken and not force and not (resume and run.exists()):
            raise RunError(
                f"{out} has a run already ({taken[-1].name} is there): --resume goes on with it, "
                "--force starts it anew, and another --out leaves it alone."
            )
        return run
    data = pathlib.Path(options.data).stem
    last = None
    for name in _numbered_names(f"{data}-{options.model}"):
        run = Run(RUNS / name)
        if not run.folder.exists():
            return last if resume and last is not None else run
        last = run if run.exists() else last
    raise AssertionError("unreachable: names do not run out")


def _numbered_names(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def settle_options(
    given: dict[str, Any],
    kept: Options | None,
    lrs: dict[str, float],
    own: dict[str, dict[str, Any]],
) -> Options:
    """The options of a run: what was given on the command line, and defaults for the rest.

    Args:
        given: those that were given.
        kept: those of the run that is resumed, if there is one: what was given must agree, but
            that there may be more epochs.
        lrs: optimizer → its default learning rate.
        own: model → defaults of its own.

    Raises OptionError if they do not agree.
    """
    if kept is None:
        defaults = own.get(given.get("model", Options.model), {})
        optimizer = given.get("optimizer", defaults.get("optimizer", Options.optimizer))
        usual = {"lr": lrs[optimizer], "weight_decay": WEIGHT_DECAYS.get(optimizer, 0.0)}
        return Options(**{**usual, **defaults, **given})
    for name, value in given.items():
        if (then := getattr(kept, name)) != value:
            if name == "epochs" and value > then:
                continue
            then_said, now_said = _as_typed(name, then), _as_typed(name, value)
            more = " or more" if name == "epochs" else ""
            raise OptionError(
                f"The run was started with {then_said} and can only be resumed with that{more}; "
                f"to train with {now_said}, start another run with --out."
            )
    return replace(kept, epochs=given.get("epochs", kept.epochs))


def _as_typed(name: str, value: Any) -> str:
    """An option as it stands on the command line."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"


def find_model(given: str | None) -> tuple[pathlib.Path, Run | None]:
    """The model file that a command means, and its run, if it lies in one.

    Args:
        given: a model file, a run folder, or "digits", the model that comes with miniflow, unless
            there is a file or a run folder of that name; None for the latest run under `runs` or,
            if there is none, the model that comes with miniflow, which is then said on stderr.

    Raises RunError if there is none.
    """
    shipped = pathlib.Path(DIGITS_FILE)
    if given is None:
        latest = _latest_model()
        if latest is None:
            _say_shipped(
                f"There is no trained model under {RUNS}{os.sep}; `miniflow train` makes one"
            )
        path = latest or shipped
    elif given == DIGITS and not _is_somebodys(path := pathlib.Path(given)):
        if path.is_dir():
            _say_shipped(f"The folder {given} has no model")
        path = shipped
    else:
        path = pathlib.Path(given)
        if path.is_dir():
            path = Run(path).model
            if not path.exists():
                raise RunError(f"{given} is a folder without a model: it has no {path.name}.")
    run = Run(path.parent)
    return path, run if path.name == run.model.name and run.exists() else None


def _say_shipped(why: str) -> None:
    """Say which model is used, beside the output, which may be for programs."""
    say(f"{why}: this is '{DIGITS}', the one that comes with miniflow.", err=True)


def _latest_model() -> pathlib.Path | None:
    models = sorted(RUNS.glob("*/model.safetensors"), key=os.path.getmtime)
    return models[-1] if models else None


def _is_somebodys(path: pathlib.Path) -> bool:
    """Whether this is a file, or the folder of a run."""
    return path.is_file() or Run(path).exists() or Run(path).model.exists()
