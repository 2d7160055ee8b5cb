"""Several losses, each by its name: what is trained is their weighted sum."""

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import add
from typing import Any, NamedTuple

from miniflow.graph import Node
from miniflow.graph.values import describe
from miniflow.interpreter.feeding import checked_output
from miniflow.options import OptionError, number
from miniflow.training.evaluation import Evaluation
from miniflow.training.history import COLUMNS


class Losses(NamedTuple):
    """What is trained, the losses by their names, and how much each counts. A loss that is given by
    itself has no name.
    """

    total: Node
    named: dict[str, Node]
    weights: dict[str, float]


def losses_of(loss: Any, loss_weights: Any) -> Losses:
    """A loss, or a dictionary of losses, as what is trained.

    Raises:
        GraphError: it is no node.
        OptionError: the dictionary is empty, a name does not do, or a weight is of no loss.

    >>> import miniflow as mf
    >>> a, b = mf.Input("a"), mf.Input("b")
    >>> found = losses_of({"one": a, "other": b}, {"other": 0.5})
    >>> mf.value(found.total, {a: 1.0, b: 4.0}), found.weights
    (3.0, {'one': 1.0, 'other': 0.5})
    """
    if not isinstance(loss, Mapping):
        if loss_weights is not None:
            raise OptionError(
                "fit: loss_weights are for several losses, each by its name: write "
                "fit({'a': loss_a, 'b': loss_b}, ..., loss_weights={'b': 0.5})."
            )
        return Losses(checked_output(loss), {}, {})
    if not loss:
        raise OptionError("fit: the dictionary of losses is empty.")
    for name in loss:
        _check_name(name)
    named = {str(name): checked_output(node) for name, node in loss.items()}
    taken = [name for name in named if any(name in columns_of(other) for other in named)]
    if taken:
        raise OptionError(
            f"fit: {taken[0]!r} is the name of a column of another loss: take another."
        )
    weights = dict.fromkeys(named, 1.0) | _checked_weights(loss_weights, named)
    terms = [node if weights[name] == 1.0 else weights[name] * node for name, node in named.items()]
    return Losses(reduce(add, terms), named, weights)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise OptionError(
            f"fit: a loss is called {describe(name)}: its name is one word, of letters, digits and "
            "_, that of a column of the history."
        )
    if name in (*COLUMNS, "metrics") or name.startswith("validation_"):
        raise OptionError(f"fit: {name!r} is the name of a column of the history: take another.")


def _checked_weights(loss_weights: Any, named: Mapping[str, Node]) -> dict[str, float]:
    if loss_weights is None:
        return {}
    if not isinstance(loss_weights, Mapping):
        raise OptionError(
            f"fit: loss_weights is a dictionary, the name of a loss → a number, not "
            f"{describe(loss_weights)}."
        )
    for name in loss_weights:
        if name not in named:
            raise OptionError(
                f"fit: loss_weights has {describe(name)}, and the losses are {', '.join(named)}."
            )
    return {
        name: number("fit", f"the weight of {name!r}", weight)
        for name, weight in loss_weights.items()
    }


def columns_of(name: str) -> list[str]:
    """What the history calls the numbers of a loss, beside its own name."""
    return [f"{name}_accuracy", f"validation_{name}", f"validation_{name}_accuracy"]


def directions_of(names: Iterable[str]) -> dict[str, bool]:
    """The columns of losses → whether their highest value is the best: of accuracies it is.

    >>> directions_of(["a"])
    {'a': False, 'a_accuracy': True, 'validation_a': False, 'validation_a_accuracy': True}
    """
    columns = (column for name in names for column in (name, *columns_of(name)))
    return {column: column.endswith("_accuracy") for column in columns}


def numbers_of(
    trained: Mapping[str, Evaluation], validated: Mapping[str, Evaluation]
) -> dict[str, float]:
    """What a row of the history has of each loss by its name."""
    return dict([*_numbers("", trained), *_numbers("validation_", validated)])


def _numbers(before: str, found: Mapping[str, Evaluation]) -> Iterator[tuple[str, float]]:
    for name, (loss, accuracy) in found.items():
        yield before + name, loss
        if accuracy is not None:
            yield f"{before}{name}_accuracy", accuracy
