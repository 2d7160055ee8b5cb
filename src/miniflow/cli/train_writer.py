"""`miniflow train --model gpt` and `--model char-rnn`: from lines of text to a run folder with a
network that writes more of the kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.cli.report import facts_of_training
from miniflow.cli.runs import Options, Run
from miniflow.cli.saying import say
from miniflow.cli.train_callbacks import keep_best
from miniflow.cli.train_output import say_how_to_go_on
from miniflow.cli.writers import (
    EncodedText,
    WritingNetwork,
    attention_of,
    build_writer,
    in_words,
)
from miniflow.distributed.meeting import is_first
from miniflow.models.generating import generate, save_writer
from miniflow.training import Training, fit
from miniflow.training.callbacks import Callback
from miniflow.training.evaluation import evaluate
from miniflow.training.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from miniflow.optimizers import Optimizer

EVALUATED = 512  # lines at a time
SAMPLES = 5  # after each epoch; twice as many of the best one's are in the report
SHOWN_LETTERS = 12  # of the line whose attention is drawn


def train_writer(
    run: Run,
    options: Options,
    optimizer: Optimizer,
    text: EncodedText,
    notes: Callback,
    going_on: bool,
) -> None:
    """Train a network that writes, in this folder: on from its checkpoint, or from the beginning.

    Args:
        run, options: where, and how.
        optimizer: what moves the parameters.
        text: what is learned from.
        notes: the callback that writes the history.
        going_on: whether there may be a checkpoint.
    """
    rng = np.random.default_rng(options.seed)
    network = build_writer(options, text, rng)
    introduce(run, options, network, text)
    about = {"training": kept_options(options)}
    samples = Samples(network, options.seed)
    best = keep_best(
        options, "validation_loss", lambda _: save_writer(network.writer, run.model, about)
    )
    try:
        history = fit(
            network.loss,
            lambda rng: network.feed(text.train, options.batch_size, rng),
            optimizer,
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation=lambda: network.feed(text.validation, EVALUATED),
            callbacks=[best, samples, notes],
            rng=rng,
            checkpoint=run.checkpoint,
            resume=going_on,
            backend=options.backend,
        )
    except KeyboardInterrupt:
        if not run.model.exists():
            save_writer(network.writer, run.model, about)
        say_how_to_go_on(run)
        raise
    save_writer(network.writer, run.model, about)
    loss = evaluate(
        network.loss, lambda: network.feed(text.test, EVALUATED), backend=options.backend
    ).loss
    if not is_first():
        return
    draw(run, options, network, text, history, best.epoch, samples, loss)
    say(f"report: {run.report}")
    say(f"test loss: {loss:.4f}, {in_words(loss)}")


def kept_options(options: Options) -> dict[str, Any]:
    """The run's options for the model's notes, in which no path of a machine stands."""
    import os
    from dataclasses import asdict

    return asdict(options) | {"data": os.path.basename(options.data)}


def introduce(run: Run, options: Options, network: WritingNetwork, text: EncodedText) -> None:
    """Say what is going to be trained, on what, and where it goes."""
    counts = [f"{len(part):,}" for part in (text.train, text.validation, text.test)]
    cut = sum(line[-1] != 0 for line in text.train)
    told = f", of which {cut:,} are cut after {text.context} letters" if cut else ""
    left = (
        f"         {text.left_out:,} of these are left out: they have letters that training has "
        "not\n"
        if text.left_out
        else ""
    )
    say(
        f"data     {options.data}: {counts[0]} lines to train on{told}, {counts[1]} for "
        f"validation, {counts[2]} for the test\n{left}"
        f"letters  {len(text.alphabet.letters)}\n"
        f"network  {network}: {network.parameter_count():,} parameters\n"
        f"backend  {options.backend}\n"
        f"folder   {run.folder}\n"
    )


class Samples(Callback):
    """Has the network write a few lines after each epoch, from the same random numbers; they are
    kept over a restart.
    """

    def __init__(self, network: WritingNetwork, seed: int) -> None:
        self._network, self._seed = network, seed
        self.lines: list[list[str]] = []

    def on_epoch_end(self, training: Training) -> None:
        del self.lines[training.epoch - 1 :]
        self.lines.append(self.write(SAMPLES))

    def write(self, n: int) -> list[str]:
        """Some lines of the network as it is now."""
        return generate(self._network.writer, n=n, rng=self._seed)

    def state(self) -> dict[str, Any]:
        return {"lines": [list(lines) for lines in self.lines]}

    def restore(self, state: dict[str, Any]) -> None:
        self.lines = [list(map(str, lines)) for lines in state["lines"]]


def draw(
    run: Run,
    options: Options,
    network: WritingNetwork,
    text: EncodedText,
    history: History,
    best: int,
    samples: Samples,
    loss: float,
) -> None:
    """Draw how the training went, and where the network looks; and write the report."""
    from miniflow.reports import attention_maps, learning_curve
    from miniflow.reports.writing import write_writing_report

    learning_curve(history, run.learning_curve, best=best)
    names = [run.learning_curve.name]
    lines = samples.write(2 * SAMPLES)
    line = max(lines, key=lambda line: min(len(line), SHOWN_LETTERS))[:SHOWN_LETTERS]
    maps = attention_of(network, line) if line else []
    if maps:
        attention_maps(["·", *line], maps, run.attention)
        names.append(run.attention.name)
    facts = {
        "test loss": f"{loss:.4f}",
        "which is": in_words(loss),
        **facts_of_training(options, network, len(history)),
    }
    write_writing_report(
        run.report,
        run.folder.name,
        facts,
        history=history,
        best=best,
        guesses=len(text.alphabet.letters) + 1,
        samples=samples.lines,
        final=lines,
        curve=run.learning_curve,
        attention=run.attention if maps else None,
    )
    say(f"\nSaved in {run.folder}: {', '.join([run.model.name, run.history.name, *names])}")
    say(f"It writes: {', '.join(_shortened(lines))}")


def _shortened(lines: Sequence[str]) -> list[str]:
    return [line if len(line) <= 40 else f"{line[:37]}..." for line in lines[:SAMPLES]]
