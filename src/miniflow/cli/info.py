"""`miniflow info`: what is installed, which runs there are, and what is in a model."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from miniflow.cli.classifiers import augmentation_of, class_names_of, training_of
from miniflow.cli.runs import RUNS, Options, Run, find_model
from miniflow.cli.saying import say
from miniflow.models import load
from miniflow.shipped import DIGITS

SHORT = 12  # equations


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|RUN|digits",
            help="A model file or run folder, or digits, which comes with miniflow.",
            show_default=False,
        ),
    ] = None,
    program: Annotated[
        bool, typer.Option("--program", help="Show the model's program, however long it is.")
    ] = False,
) -> None:
    """Show a model; without one, what is installed and trained.

    \b
    Examples:
      miniflow info
      miniflow info digits
      miniflow info runs/mnist-mlp
      miniflow info model.safetensors --program
    """  # noqa: D301 (\b keeps the lines apart)
    if model is None:
        say(about_installation())
    else:
        say(about_model(*find_model(model), whole=program))


def about_installation() -> str:
    """Versions, and a line for each run."""
    import numpy as np

    from miniflow import __version__

    lines = [
        f"miniflow  {__version__}",
        f"Python    {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"NumPy     {np.__version__}",
        f"model     {DIGITS}, which comes with miniflow: `miniflow info {DIGITS}`",
    ]
    runs = [Run(path.parent) for path in sorted(RUNS.glob("*/run.json"))]
    width = max((len(str(run.folder)) for run in runs), default=0)
    if runs:
        lines.append("")
    for run in runs:
        lines.append(f"{run.folder!s:{width}}  {progress_of(run)}")
    return "\n".join(lines)


def about_model(path: Path, run: Run | None, whole: bool = False) -> str:
    """A model's inputs, arrays and program, and how it was trained if that is known.

    A program of more than SHORT equations is shown if the `whole` model is asked for.
    """
    model = load(path)
    lines = [
        f"model      {path}",
        *(f"input      {i.name}: {sizes(i.shape)} {i.dtype}" for i in model.inputs),
        f"outputs    {model.outputs}",
        f"parameters {model.parameter_count:,}",
    ]
    for array in model.program.constants:
        lines.append(f"           {array.variable.name or '(no name)'} {sizes(array.value.shape)}")
    if (names := class_names_of(model)) is not None:
        lines.append(f"classes    {', '.join(names)}")
    options = training_of(model) if run is None else run.read_options()
    if options is not None:
        lines += [f"data       {options.data}", f"training   {training_text(options)}"]
    if (limits := augmentation_of(model)) is not None:
        lines.append(f"augment    {limits}")
    if run is not None:
        lines.append(f"progress   {progress_of(run)}")
    equations = len(model.program.equations)
    if whole or equations <= SHORT:
        lines += ["", "The program, for one row:", "", str(model.program)]
    else:
        lines.append(f"program    {equations} equations; --program shows them")
    return "\n".join(lines)


def training_text(options: Options) -> str:
    """How a model was trained, in words.

    >>> training_text(Options(model="cnn"))
    'cnn, 8 epochs of sgd, learning rate up to 0.1, batches of 128, seed 0, backend auto'
    """
    return (
        f"{options.model}, {options.epochs} epochs of {options.optimizer}, learning rate up to "
        f"{options.lr:g}, batches of {options.batch_size}, seed {options.seed}, "
        f"backend {options.backend}"
    )


def sizes(shape: Sequence[int | None]) -> str:
    """A shape in words.

    >>> sizes((None, 784)), sizes(())
    ('n × 784', 'one number')
    """
    return " × ".join("n" if size is None else str(size) for size in shape) or "one number"


def progress_of(run: Run) -> str:
    """How far a run has come, and how good it is."""
    rows = run.rows()
    done = f"{len(rows)} of {run.read_options().epochs} epochs"
    accuracies = [row.validation_accuracy for row in rows if row.validation_accuracy is not None]
    return done + (f", validation accuracy {max(accuracies):.4f}" if accuracies else "")
