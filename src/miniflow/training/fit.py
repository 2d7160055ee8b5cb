"""Training: take a batch, find the gradients, move the parameters; again and again.

`fit` needs a loss, data and an optimizer, and takes care of the rest: epochs, shuffling,
validation, callbacks, progress, checkpoints, and a loss that is no longer a number. The loss may be
any node, of anybody's class; what is trained are the `Parameter`s that lead to it.

What is given is checked here; the loops are those of `training`.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.distributed.meeting import is_first
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
from miniflow.training.batching import Batches, batches_for
from miniflow.training.callbacks import Callback
from miniflow.training.checkpoints import (
    checkpoint_exists,
    load_checkpoint,
    with_what_is_left,
)
from miniflow.training.collecting import wait_for_collectors
from miniflow.training.history import History
from miniflow.training.losses import directions_of, losses_of
from miniflow.training.measuring import Measures
from miniflow.training.progress import Style, progress_for
from miniflow.training.sharing import (
    check_all_begin_alike,
    check_divides,
    seed_for_all,
)
from miniflow.training.stepping import Step, checked_backend, make_evaluator
from miniflow.training.training import Training


@with_known_options(
    {
        "x": "write data={X: x, y: y}",
        "y": "write data={X: x, y: y}",
        "lr": "it is the optimizer's, SGD(lr=...)",
        "learning_rate": "it is the optimizer's, SGD(lr=...)",
        "class_weight": "a loss weighs classes, CrossEntropyWithSoftmax(x, y, class_weights=...)",
        "class_weights": "a loss weighs classes, CrossEntropyWithSoftmax(x, y, class_weights=...)",
        "sample_weight": "an Input of weights is one factor of a loss; data feeds it as any other",
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
