"""The report that `miniflow train` leaves in a run folder: which sections it has, and what is in
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from miniflow.cli.runs import Options, Run
from miniflow.errors import DataError
from miniflow.graph import Node
from miniflow.layers.networks import Network
from miniflow.models import Model

if TYPE_CHECKING:
    from miniflow.cli.writers import WritingNetwork
    from miniflow.datasets import Dataset
    from miniflow.reports import Section

EXPLORED = 12  # images in the graph's pass


def write_run_report(
    run: Run, options: Options, network: Network, model: Model, test: Dataset, accuracy: float
) -> None:
    """Write `report.html`: the run's pictures, the graph, and, where images are of 28 × 28 pixels,
    the page to draw on.
    """
    from miniflow.reports import Section, picture_section, write_report

    sections = [
        picture_section("Learning curve", run.learning_curve),
        picture_section("Confusion matrix", run.confusion_matrix),
    ]
    if run.mistakes.exists():
        sections.append(picture_section("Worst mistakes", run.mistakes, wide=True))
    sections.append(Section("The graph", graph_of(network, test)))
    sections += digit_sections(model)
    facts = {
        "test accuracy": f"{accuracy:.2%}",
        **facts_of_training(options, network, len(run.rows())),
    }
    write_report(run.report, run.folder.name, facts, sections)


def facts_of_training(
    options: Options, network: Network | WritingNetwork, epochs: int
) -> dict[str, str]:
    """What every report says of how a network was trained."""
    return {
        "network": f"{network}",
        "parameters": f"{network.parameter_count():,}",
        "data": options.data,
        "epochs": f"{epochs} of {options.epochs}",
        "optimizer": f"{options.optimizer}, learning rate up to {options.lr:g}",
        "batch size": f"{options.batch_size}",
        "seed": f"{options.seed}",
    }


def graph_of(network: Network, test: Dataset) -> str:
    """The graph, to be stepped through with a few of the test images, in HTML."""
    from miniflow.pictures.explorer import explorer_fragment

    images, labels = test.images[:EXPLORED], test.labels[:EXPLORED]
    feed: dict[Node, Any] = {network.X: images, network.y: labels}
    return explorer_fragment(network.loss, feed, title=f"{network}")


def digit_sections(model: Model) -> Sequence[Section]:
    """The page to draw on, if the model is one for it."""
    from miniflow.digit_page import check_reads_digits, digit_fragment
    from miniflow.reports import Section

    try:
        check_reads_digits(model, "the model")
    except DataError:
        return []
    return [Section("Draw a digit", digit_fragment(model))]
