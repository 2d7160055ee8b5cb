"""Training: take a batch, find the gradients, move the parameters; again and again.

`fit` needs a loss, data and an optimizer, and takes care of the rest: epochs, shuffling,
validation, callbacks, progress, checkpoints, and a loss that is no longer a number. The loss may be
any node, of anybody's class; what is trained are the `Parameter`s that lead to it.

    fit            checks what it is given, and returns the history
    Training       the training under way: what callbacks see and checkpoints keep; its loops

How a batch is computed, compiled or by the interpreter, is the business of `stepping`.
"""

import itertools
import math
import os
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from miniflow.distributed.meeting import is_first
from miniflow.errors import NotFiniteError
from miniflow.files.atomic import remove_leftovers
from miniflow.graph import Node, Parameter
from miniflow.graph.checks import is_listed
from miniflow.graph.plans import ancestors_in_order
from miniflow.graph.values import describe
from miniflow.metrics import Metric
from miniflow.optimizers import Optimizer
from miniflow.options import OptionError, file_path, flag, generator, whole, with_known_options
from miniflow.tracing.first_values import make_first_values
from miniflow.training.accumulating import AccumulatingStep
from miniflow.training.averages import Totals
from miniflow.training.batching import Batches, batches_for
from miniflow.training.callbacks import Callback
from miniflow.training.changes import printed_settings
from miniflow.training.checkpoints import (
    checkpoint_exists,
    load_checkpoint,
    save_checkpoint,
    with_what_is_left,
)
from miniflow.training.collecting import wait_for_collectors
from miniflow.training.evaluation import Evaluation, evaluate_by_name
from miniflow.training.history import Epoch, History
from miniflow.training.interrupts import Interrupts, interrupts_held_back
from miniflow.training.losses import directions_of, losses_of, numbers_of
from miniflow.training.making_steps import MadeBatch, make_steps, seeded_batches, with_last
from miniflow.training.measuring import Measures
from miniflow.training.progress import Style, progress_for
from miniflow.training.sharing import (
    agree_on,
    check_all_begin_alike,
    check_divides,
    seed_for_all,
    stopping_together,
)
from miniflow.training.stepping import Evaluator, Step, checked_backend, make_evaluator

VALIDATION_ROWS = 1000  # rows at a time
MOST_SEEDS = 2**62  # where the numbers that are fed to a Seed begin; room for an epoch's above it


@with_known_options(
    {
        "x": "write data={X: x, y: y}",
        "y": "write data={X: x, y: y}",
        "lr": "it is the optimizer's, SGD(lr=...)",
        "learning_rate": "it is the optimizer's, SGD(lr=...)",
        "random_state": "write rng=...",
        "seed": "write rng=...",
        "shuffle": "examples are shuffled, by rng; data that is a function comes as it is",
        "validation_data": "write validation=...",
        "validation_split": "write validation=..., with data of its own",
        "verbose": "write progress='none'",
    }
)
def fit(
    loss: Node | Mapping[str, Node],
    data: Any,
    optimizer: Any,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    parameters: Sequence[Parameter] | None = None,
    accumulate: int = 1,
    loss_weights: Mapping[str, float] | None = None,
    validation: Any = None,
    metrics: Mapping[str, Metric] | None = None,
    callbacks: Iterable[Callback] = (),
    rng: np.random.Generator | int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Style = "auto",
    backend: str = "auto",
) -> History:
    """Train the parameters that `loss` depends on, in place.

    A `Seed` that `loss` depends on, and that `data` do not feed, is fed another whole number at
    each step, drawn from `rng`: what is random in the graph, such as `Dropout`, is in training. No
    number is fed for the validation, which is inference. So the loss and the accuracy of an epoch
    are those of a network with holes in it, and may be worse than the validation's.

    Args:
        loss: one number, the mean over the rows of what is fed. Or several by their names,
            `{"a": loss_a, "b": loss_b}`: their sum is trained, and the history has each,
            `history["a"]`, `history["validation_a"]`, and its accuracy, `history["a_accuracy"]`.
        data: a `miniflow.datasets.Dataset`, whose labels are fed to the loss's second inbound node
            and whose images to the one other input; or a dictionary {input: array}, the arrays
            with a row for each example; or a function that is called for each epoch and yields its
            batches, (images, labels) or {input: array}, of any size: a generator function, say. If
            it takes an argument, that is `rng`. It may run in another thread, some batches
            ahead; one that reads what is trained wants a callback with an `on_batch_end`, which
            rules that out.
        optimizer: moves the parameters after each batch. Groups of parameters with an optimizer
            each are a list: `[(mf.AdamW(1e-3), [W, V]), (mf.SGD(0.1), [b])]`; every `Parameter`
            that is not frozen is in one of them. The learning rate of the history is that of the
            first group.
        parameters: those to be trained, a list; by default all that `loss` depends on, but for
            those that are frozen, `W.trainable = False`. No gradient is computed for any other.
        epochs: how often to go through the data; 10 by default.
        batch_size: examples in a batch, 128 by default; the last of an epoch has what is left.
        accumulate: how many batches make one update, 1 by default: the gradient is that of all of
            them as one batch, `batch_size` · `accumulate` examples, in the memory of one. The last
            of an epoch are made of what is left. Each batch has its own number for every `Seed`.
            A loss that does not follow from those of parts of a batch is refused.
        loss_weights: how much each of several losses counts in the sum, `{"b": 0.5}`; 1 by default.
        validation: data to look at after each epoch and not to train on; None by default.
        metrics: name → metric, `{"auc": mf.metrics.AUC()}`; none by default. The history, its CSV
            file, the progress and callbacks have each by its name, "auc", and "validation_auc" for
            that of the validation.
        callbacks: `Callback`s; none by default. One with an `on_batch_end` of its own sees batch
            after batch; else the native backend and JAX make many steps in a call, of a twentieth
            of a second; of the native backend, the bits are the same.
        rng: a generator or a seed, for the order of the examples and for every `Seed`; by default
            it differs each time.
        checkpoint: a file that is written after each epoch; None by default.
        resume: go on from that file, if there is one, up to `epochs` in all; the bits are those of
            a training that was never stopped. If the file is damaged, the one of the epoch before
            is used, with a `CheckpointWarning`. Another learning rate, or another length of the
            schedule, is told with a `SettingsWarning`. False by default.
        progress: "bar", "lines", "none", or "auto": a bar on a terminal, lines elsewhere; "auto" by
            default.
        backend: "numpy" or "native" (needs llvmlite) run a compiled program, "interpreter" calls
            node after node; "auto", the default, compiles, and leaves a graph that cannot be
            compiled to the interpreter, with an `InterpreterWarning` that says why. A training
            that is resumed with "auto" goes on with the backend that it was begun with.

    Returns:
        The history: a row an epoch, and `why_backend()`, which says what ran the steps and why.

    Raises:
        GraphError: `loss` depends on no Parameter; or one that is to be trained is frozen, in two
            groups or in none, or no part of `loss`.
        DataError, FeedError, OptionError: what was given does not fit; the message says what does.
        NotFiniteError: the loss, a gradient, or what the optimizer makes of them, is NaN or
            infinite. The update is not made, the batch is replayed by the interpreter, and the
            message names the node that produced it, and what to try. With the callback
            `TerminateOnNaN` it is a warning, and the training ends in good order.
        CompileError: the graph cannot be compiled, and the backend was named.
        ModelFileError: the checkpoint is damaged, or belongs to another training, or to another
            backend.
        OSError: its folder does not exist, or the file cannot be written; the checkpoints written
            before are as they were, and the message says so.
        KeyboardInterrupt: after Ctrl-C, between two updates: at once while `data` makes a batch,
            which is not waited for.

    >>> import numpy as np, miniflow as mf
    >>> from miniflow.optimizers import SGD
    >>> X, y = mf.Input("X"), mf.Input("y")
    >>> W, b = mf.Parameter(np.zeros((1, 1)), "W"), mf.Parameter([0.0], "b")
    >>> loss = mf.MSE(mf.Linear(X, W, b), y)
    >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> history = fit(loss, {X: x, y: 3 * x + 1}, SGD(0.5), batch_size=16, rng=0, progress="none")
    >>> W.value.round(2), b.value.round(2), len(history)
    (array([[3.]]), array([1.]), 10)
    """
    _check_optimizer(optimizer)
    loss, named, weights = losses_of(loss, loss_weights)
    callbacks = _checked_callbacks(callbacks)
    if checkpoint is not None:
        checkpoint = file_path("fit", checkpoint, "checkpoint")
    elif flag("fit", "resume", resume):
        raise OptionError("fit: resume=True goes on from a file: say which, checkpoint=path.")
    watchers = progress_for(progress) if is_first() else []
    measures = Measures("fit", loss, metrics)
    if taken := [name for name in directions_of(named) if name in measures.directions()]:
        raise OptionError(f"fit: {taken[0]!r} is a metric and a loss: take another name for one.")
    wait_for_collectors(rng)
    examples = batches_for(loss, data, also=measures.outside)
    _make_first_values(loss, examples, whole("fit", "batch_size", batch_size, least=1))
    accumulate = whole("fit", "accumulate", accumulate, least=1)
    kind = Step if accumulate == 1 else AccumulatingStep
    step = kind(loss, parameters, optimizer, checked_backend("fit", backend), named)
    fed = data if isinstance(data, Mapping) else ()
    training = Training(
        loss=loss,
        parameters=[node for node in ancestors_in_order(loss) if isinstance(node, Parameter)],
        trained=step.parameters,
        optimizer=step.optimizer,
        step=step,
        evaluator=make_evaluator(loss, backend, named),
        measures=measures,
        data=examples,
        validation=None if validation is None else _validation(loss, validation, measures),
        epochs=whole("fit", "epochs", epochs, least=0),
        batch_size=whole("fit", "batch_size", batch_size, least=1),
        accumulate=accumulate,
        loss_weights=weights,
        rng=generator("fit", seed_for_all(rng)),
        callbacks=callbacks,
        checkpoint=checkpoint,
        seeds=[n for n in ancestors_in_order(loss) if n.wants_a_seed and n not in fed],
    )
    check_divides(step.backend, batch_size)
    if checkpoint is not None:
        os.stat(os.path.dirname(checkpoint) or ".")  # tell now, not after the first epoch
        if is_first():
            remove_leftovers(checkpoint)
        if flag("fit", "resume", resume) and checkpoint_exists(checkpoint):
            load_checkpoint(checkpoint, training)
    pixels = getattr(training.data, "pixels", None)
    for node in ancestors_in_order(loss):
        node._is_fed_pixels = node is pixels
    check_all_begin_alike(training)
    try:
        training.run(watchers)
    except OSError as error:
        if checkpoint is None:
            raise
        raise with_what_is_left(error, checkpoint) from error
    return training.history


def _validation(loss: Node, data: Any, measures: Measures) -> Batches:
    return batches_for(loss, data, "validation", also=measures.outside)


def _make_first_values(loss: Node, data: Batches, batch_size: int) -> None:
    """Make the parameters whose shapes follow from what is fed, if there are any: a checkpoint and
    callbacks want to know them before the first step.
    """
    order = ancestors_in_order(loss)
    if any(isinstance(node, Parameter) and node.value is None for node in order):
        make_first_values(loss, order, next(iter(data.batches(batch_size))).feed)


def _check_optimizer(optimizer: Any) -> None:
    """See that it is one of `Optimizer`'s subclasses, or a list, of such groups."""
    groups = list(optimizer) if is_listed(optimizer) else [(optimizer, ())]
    for group in groups:
        given = group[0] if is_listed(group) and len(group) == 2 else None
        if given is not None and not isinstance(given, Optimizer):
            raise OptionError(f"fit: the optimizer is one such as SGD(0.1), not {describe(given)}.")


def _checked_callbacks(callbacks: Any) -> list[Callback]:
    if isinstance(callbacks, (Callback, type)) or not isinstance(callbacks, Iterable):
        raise OptionError(
            f"fit: callbacks is a list of them, [mf.EarlyStopping()], not {describe(callbacks)}."
        )
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            made = isinstance(callback, type) and issubclass(callback, Callback)
            hint = f" Make one: {callback.__name__}()." if made else ""
            raise OptionError(f"fit: callbacks has {describe(callback)}, no Callback.{hint}")
    return found


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
                            return
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
        self.history.backend, self.history.reason = step.backend, step.reason
        trained = self.so_far()
        each = {name: Evaluation(totals.loss, totals.accuracy) for name, totals in named.items()}
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
        for callback in everybody:
            callback.on_epoch_end(self)
        if self.checkpoint is not None and is_first():
            save_checkpoint(self.checkpoint, self)
        interrupts.raise_if_pressed()

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
                agree_on(1)
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
