"""What has changed since a checkpoint was written and does not stop a training: it is told, and the
training goes on.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from miniflow.compiler.threads import thread_count
from miniflow.errors import shown
from miniflow.files.arrays import Path
from miniflow.graph import random_numbers
from miniflow.graph.places import users_level
from miniflow.graph.plans import ancestors_in_order

if TYPE_CHECKING:
    from miniflow.optimizers import Optimizer
    from miniflow.training.fit import Training


class ThreadsWarning(UserWarning):
    """A training goes on with another number of threads: its last bits may come out differently."""


class SettingsWarning(UserWarning):
    """A training goes on with other settings of the optimizer than it was begun with."""


class RandomNumbersWarning(UserWarning):
    """A training goes on with other random numbers than the version that began it would draw."""


def tell_threads(path: Path, about: dict[str, Any]) -> None:
    """Warn where there are another number of threads."""
    if (now := thread_count()) != (then := about.get("threads")):
        threads = shown(then or "an unknown number of", 40)
        warnings.warn(
            f"{path}: was written by a training with {threads} threads, and "
            f"now there are {now or 'an unknown number'}: the result may differ in its last bits.",
            ThreadsWarning,
            stacklevel=users_level(),
        )


def tell_random_numbers(path: Path, about: dict[str, Any], training: Training) -> None:
    """Warn where a version that drew its numbers otherwise began a training that draws numbers."""
    if about.get("random_numbers", 1) == random_numbers.VERSION:
        return
    drawing = [node for node in ancestors_in_order(training.loss) if node.draws_numbers]
    names = sorted({type(node).__name__ for node in drawing})
    if getattr(training.data, "draws_numbers", False):
        names.append("augmentation")
    if names:
        warnings.warn(
            f"{path}: was written by a version of miniflow whose {' and '.join(names)} drew "
            "other random numbers, so the training goes on to a result as good, and not to the "
            "bits that it would have reached then.",
            RandomNumbersWarning,
            stacklevel=users_level(),
        )


def as_printed(schedule: Any) -> str:
    """A schedule as it prints; a function without its address, which is another in each process."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(schedule))


def printed_settings(optimizer: Optimizer) -> dict[str, str]:
    """The settings that a training goes on with though others may be given, as they print.

    >>> from miniflow.optimizers import SGD
    >>> printed_settings(SGD(0.1, momentum=0.9))
    {'lr': '0.1', 'momentum': '0.9', 'nesterov': 'False', 'weight_decay': '0.0'}
    """
    apart = ("slots", "clipping")  # what has to be the same is looked at elsewhere
    settings = {k: as_printed(v) for k, v in optimizer.settings().items() if k not in apart}
    return settings if callable(optimizer.lr) else {"lr": repr(optimizer.lr), **settings}


def tell_settings(path: Path, given: dict[str, str], training: Training) -> None:
    """Warn of settings that are not those that the training was begun with, and say which hold."""
    then, told = training.settings, []
    for name in given:
        if name not in then or given[name] == then[name]:
            continue
        if name != "lr":
            told.append(f"{name} was {shown(then[name])} and is {given[name]} from here on")
            then[name] = given[name]
        elif given["lr"] != (now := repr(training.optimizer.lr)):
            since = "" if now == then["lr"] else f", {now} by now,"
            told.append(
                f"lr was {shown(then['lr'])}{since} and stays so, {given['lr']} is not used"
            )
    if told:
        warnings.warn(
            f"{path}: the training was begun with other settings of "
            f"{type(training.optimizer).__name__}: {'; '.join(told)}.",
            SettingsWarning,
            stacklevel=users_level(),
        )
