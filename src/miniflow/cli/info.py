"""`miniflow info`: what is installed, which runs there are, and what is in a model."""

import platform
from pathlib import Path
from typing import Annotated

import typer

from miniflow.cli.runs import RUNS, Run, find_model
from miniflow.networks import load_network, shapes


def info(
    model: Annotated[
        str | None,
        typer.Argument(metavar="FILE|RUN", help="A model file or run folder.", show_default=False),
    ] = None,
) -> None:
    """Show a model; without one, what is installed and trained.

    \b
    Examples:
      miniflow info
      miniflow info runs/mnist-mlp
      miniflow info model.safetensors
    """  # noqa: D301 (\b keeps the lines apart)
    typer.echo(about_model(*find_model(model)) if model is not None else about_installation())


def about_installation() -> str:
    """Versions, and a line for each run."""
    import numpy as np

    from miniflow import __version__

    lines = [
        f"miniflow  {__version__}",
        f"Python    {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"NumPy     {np.__version__}",
    ]
    runs = [Run(path.parent) for path in sorted(RUNS.glob("*/run.json"))]
    width = max((len(str(run.folder)) for run in runs), default=0)
    if runs:
        lines.append("")
    for run in runs:
        lines.append(f"{run.folder!s:{width}}  {progress_of(run)}")
    return "\n".join(lines)


def about_model(path: Path, run: Run | None) -> str:
    """A model's layers, and how it was trained if that is known."""
    network = load_network(path)
    lines = [
        f"model      {path}",
        f"network    {network}: {network.parameter_count():,} parameters",
    ]
    for name, shape in shapes(network.sizes).items():
        lines.append(f"           {name} {' × '.join(map(str, shape))}")
    if run is not None:
        options = run.read_options()
        lines += [
            f"data       {options.data}",
            f"training   {options.optimizer}, learning rate up to {options.lr:g}, "
            f"batches of {options.batch_size}, seed {options.seed}",
            f"progress   {progress_of(run)}",
        ]
    return "\n".join(lines)


def progress_of(run: Run) -> str:
    """How far a run has come, and how good it is."""
    rows = run.rows()
    done = f"{len(rows)} of {run.read_options().epochs} epochs"
    accuracies = [float(row["validation_accuracy"]) for row in rows if row["validation_accuracy"]]
    return done + (f", validation accuracy {max(accuracies):.4f}" if accuracies else "")
