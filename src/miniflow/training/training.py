"""The training under way: what callbacks see and checkpoints keep, and its loops over epochs and
batches.

How a batch is computed, compiled or by the interpreter, is the business of `stepping`.
"""

import itertools
import math
import os
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from miniflow.distributed.meeting import is_first
from miniflow.errors import NotFiniteError
from miniflow.graph import Node, Parameter
from miniflow.training.accumulating import AccumulatingStep
from miniflow.training.averages import Totals
from miniflow.training.batching import Batches
from miniflow.training.callbacks import Callback
from miniflow.training.changes import printed_settings
from miniflow.training.checkpoints import save_checkpoint
from miniflow.training.evaluation import Evaluation, evaluate_by_name
from miniflow.training.history import Epoch, History
from miniflow.training.interrupts import Interrupts, interrupts_held_back
from miniflow.training.losses import directions_of, numbers_of
from miniflow.training.making_steps import MadeBatch, make_steps, seeded_batches, with_last
from miniflow.training.measuring import Measures
from miniflow.training.sharing import agree_on, agree_when_ready, stopping_together
from miniflow.training.stepping import Evaluator, Step

VALIDATION_ROWS = 1000  # rows at a time
MOST_SEEDS = 2**62  # where the numbers that are fed to a Seed begin; room for an epoch's above it


@dataclass(eq=False)
class Training:
    """A training under way.

    measures: the metrics that were asked for.
    loss, optimizer, epochs, batch_size, accumulate, rng: as given to `fit`; of groups, a
        `ParameterGroups`.
    loss_weights: of several losses, whose sum `loss` is, how much each counts; else empty.
    parameters: all that the loss depends on. trained: what the optimizer may move, of these.
    step, evaluator: how a batch is trained on, and how one is only evaluated.
    data, validation: the examples, ready to be fed.
    seeds: the `Seed`s that are fed a number at each step.
    epoch: how many epochs are complete. history: their rows.
    stop: set it to True to end the training after the epoch under way.
    rows: examples in the latest batch.
    settings: those of the optimizer that the training was begun with, as they print.
    frozen_at_first: which of the trained parameters were frozen when it was begun.
    """

    loss: Node
    parameters: list[Parameter]
    optimizer: Any
    step: Step
    evaluator: Evaluator
    data: Batches
    validation: Batches | None
    epochs: int
    batch_size: int
    rng: np.random.Generator
    callbacks: list[Callback]
    measures: Measures = field(default_factory=Measures)
    checkpoint: str | os.PathLike[str] | None = None
    seeds: list[Node] = field(default_factory=list)
    trained: list[Parameter] = field(default_factory=list)
    accumulate: int = 1
    loss_weights: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    stop: bool = False
    history: History = field(default_factory=History)
    rows: int = 0
    settings: dict[str, str] = field(init=False)
    frozen_at_first: list[bool] = field(init=False)
    _totals: Totals = field(init=False)

    def __post_init__(self) -> None:
        self._totals = Totals(self.evaluator.averages)
        for evaluator in (self.step, self.evaluator):
            evaluator.measure(self.measures.nodes, self.measures.outside)
        self.settings = printed_settings(self.optimizer)
        self.trained = self.trained or self.parameters
        self.frozen_at_first = [not parameter.trainable for parameter in self.trained]
        for callback in self.callbacks:
            callback.reset()
            callback.see(self)

    def directions(self) -> dict[str, bool]:
        """Columns of the history beside the usual ones → whether the highest value is the best."""
        return self.measures.directions() | directions_of(self.loss_weights)

    def so_far(self) -> Evaluation:
        """Loss and accuracy over the examples of this epoch so far."""
        return Evaluation(self._totals.loss, self._totals.accuracy)

    @property
    def rows_done(self) -> int:
        """Examples of this epoch so far."""
        return self._totals.rows

    def run(self, watchers: Iterable[Callback] = ()) -> None:
        """Train until all epochs are complete or a callback says stop.

        Callbacks are called in order, and then the watchers, which see the same and are not part of
        a checkpoint.
        """
        everybody = [*self.callbacks, *watchers]
        step = self.step  # a callback may put something else around it
        with ExitStack() as endings:
            interrupts = endings.enter_context(interrupts_held_back())
            endings.enter_context(stopping_together(interrupts))
            for callback in everybody:
                callback.on_train_begin(self)
                endings.callback(callback.on_train_end, self)
            while agree_on(self.epoch < self.epochs and not self.stop):
                self._run_epoch(everybody, interrupts, step)

    def _run_epoch(self, everybody: list[Callback], interrupts: Interrupts, step: Step) -> None:
        started = time.perf_counter()
        self._totals = Totals(self.evaluator.averages, self.measures.begin())
        named = step.new_totals()
        if not self._go_through_data(everybody, interrupts, step, named):
            return
        self.history.backend, self.history.reason = step.backend, step.reason
        each = {name: Evaluation(totals.loss, totals.accuracy) for name, totals in named.items()}
        self._note_epoch(started, each)
        for callback in everybody:
            callback.on_epoch_end(self)
        if self.checkpoint is not None and is_first():
            save_checkpoint(self.checkpoint, self)
        interrupts.raise_if_pressed()

    def _go_through_data(
        self,
        everybody: list[Callback],
        interrupts: Interrupts,
        step: Step,
        named: Mapping[str, Totals],
    ) -> bool:
        """Make the steps of an epoch; whether it came to its end. A callback may settle that a step
        was not finite: then the training ends before.
        """
        first = self.rng.integers(MOST_SEEDS, size=len(self.seeds)).tolist() if self.seeds else []
        seeds = dict(zip(self.seeds, first, strict=True))
        with closing(self._make_steps(step, seeds)) as steps:
            for number in itertools.count():
                try:
                    made = next(steps, None)
                except NotFiniteError as error:
                    fed = "".join(f", {x.label} = {first + number}" for x, first in seeds.items())
                    at = f"Epoch {self.epoch + 1}, batch {number + 1}{fed}"
                    told = NotFiniteError(f"{at}: {error}")
                    try:
                        if self._is_settled(told, everybody):
                            return False
                        raise told from None
                    finally:
                        del told  # it holds this frame
                if made is None:
                    break
                self.rows = made.rows
                self._totals.add(made.result, made.rows)
                for name, totals in named.items():
                    totals.add(made.named[name], made.rows)
                for callback in everybody:
                    callback.on_batch_end(self)
                interrupts.raise_if_pressed()
        return True

    def _note_epoch(self, started: float, each: Mapping[str, Evaluation]) -> None:
        """Evaluate, and write the epoch's row of the history."""
        trained = self.so_far()
        validated, each_validated = Evaluation(math.nan, None), dict[str, Evaluation]()
        if self.validation is not None:
            # The step's is known by now, and after a restart too.
            if self.evaluator.backend == "auto":
                self.evaluator.backend = self.step.backend
            validated, each_validated = evaluate_by_name(
                self.evaluator, self.validation, VALIDATION_ROWS, self.measures
            )
        self.epoch += 1
        self.history.rows.append(
            Epoch(
                epoch=self.epoch,
                loss=trained.loss,
                accuracy=trained.accuracy,
                validation_loss=None if self.validation is None else validated.loss,
                validation_accuracy=validated.accuracy,
                seconds=time.perf_counter() - started,
                learning_rate=self.optimizer.latest_lr(),
                metrics=self._totals.metrics.results()
                | {f"validation_{name}": value for name, value in validated.metrics.items()}
                | numbers_of(each, each_validated),
            )
        )

    def _make_steps(
        self, step: Step, seeds: Mapping[Node, int]
    ) -> Generator[MadeBatch, None, None]:
        """The steps of an epoch: many in a call, unless somebody wants to see each batch."""
        is_seen = any(type(c).on_batch_end is not Callback.on_batch_end for c in self.callbacks)
        if type(step) is Step and self.step is step and not is_seen:
            yield from make_steps(step, self.data, self.batch_size, seeds, self.rng)
            return
        batches = seeded_batches(self.data, self.batch_size, seeds, self.rng)
        with closing(batches):  # who keeps an error keeps this frame, and them
            for batch, is_last in with_last(batches, self.accumulate):
                agree_when_ready(1)
                result = self.step(batch.feed)
                if is_last and isinstance(step, AccumulatingStep):
                    step.update()
                yield MadeBatch(result, step.named, batch.rows)

    def _is_settled(self, error: NotFiniteError, everybody: list[Callback]) -> bool:
        """Whether a callback answers the error by ending the training."""
        would_stop, self.stop = self.stop, False
        for callback in everybody:
            callback.on_not_finite(self, error)
        is_settled, self.stop = self.stop, self.stop or would_stop
        return is_settled
