"""`miniflow info`: what is installed, which runs there are, and what is in a model."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from miniflow.cli.classifiers import augmentation_of, class_names_of, training_of
from miniflow.cli.runs import RUNS, Options, Run, find_model
from miniflow.cli.saying import as_json_number, say
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
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a JSON object.")] = False,
) -> None:
    """Show a model; without one, what is installed and trained.

    \b
    Examples:
      miniflow info
      miniflow info digits
      miniflow info runs/mnist-mlp
      miniflow info model.safetensors --program
      miniflow info digits --json
    """  # noqa: D301 (\b keeps the lines apart)
    if as_json:
        found = installation() if model is None else facts_of(*find_model(model), whole=program)
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
    elif model is None:
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


def installation() -> dict[str, Any]:
    """What is installed, and the runs, for programs."""
    import numpy as np

    from miniflow import __version__

    runs = [Run(path.parent) for path in sorted(RUNS.glob("*/run.json"))]
    return {
        "miniflow": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "runs": [facts_of_run(run) for run in runs],
    }


def facts_of_run(run: Run) -> dict[str, Any]:
    """A run's options, and how far it has come."""
    rows = run.rows()
    accuracies = [row.validation_accuracy for row in rows if row.validation_accuracy is not None]
    return {
        "folder": str(run.folder),
        "options": asdict(run.read_options()),
        "epochs_done": len(rows),
        "best_validation_accuracy": as_json_number(max(accuracies, default=None)),
    }


def facts_of(path: Path, run: Run | None, whole: bool = False) -> dict[str, Any]:
    """A model for programs: what `about_model` says."""
    model = load(path)
    limits, options = augmentation_of(model), training_of(model)
    arrays = [(a.variable.name, list(a.value.shape)) for a in model.program.constants]
    found = {
        "model": str(path),
        "inputs": [
            {"name": i.name, "shape": list(i.shape), "dtype": str(i.dtype)} for i in model.inputs
        ],
        "outputs": model.outputs,
        "parameters": model.parameter_count,
        "arrays": [{"name": name, "shape": shape} for name, shape in arrays],
        "classes": class_names_of(model),
        "training": None if options is None else asdict(options),
        "augmentation": None if limits is None else limits._asdict(),
        "run": None if run is None else facts_of_run(run),
        "equations": len(model.program.equations),
    }
    return found | ({"program": str(model.program)} if whole else {})


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
    more = {"dropout": options.dropout, "weight decay": options.weight_decay}
    epochs = "epoch" if options.epochs == 1 else "epochs"
    return (
        f"{options.model}, {options.epochs} {epochs} of {options.optimizer}, learning rate up to "
        f"{options.lr:g}, batches of {options.batch_size}, seed {options.seed}, "
        f"backend {options.backend}"
        + "".join(f", {name} {value:g}" for name, value in more.items() if value)
        + (f", patience {options.patience}" if options.patience else "")
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
