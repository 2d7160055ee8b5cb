"""What has changed since a checkpoint was written and does not stop a training: it is told, and the
training goes on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from miniflow.backends import MODULES, find
from miniflow.backends.backend import THIS_MACHINE
from miniflow.compiler.threads import thread_count
from miniflow.errors import shown
from miniflow.files.arrays import Path
from miniflow.graph import random_numbers
from miniflow.graph.places import users_level
from miniflow.graph.plans import ancestors_in_order
from miniflow.interpreter.selection import ParameterGroups, parts_of

if TYPE_CHECKING:
    from miniflow.optimizers import Optimizer
    from miniflow.training.training import Training


class ThreadsWarning(UserWarning):
    """A training goes on with another number of threads: its last bits may come out differently."""


class BitsWarning(UserWarning):
    """A training goes on where its bits are not those that it would have ended with."""


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


def same_bits_on(backend: str) -> str:
    """Where a training by this backend, or by the interpreter, ends with the same bits.

    >>> same_bits_on("interpreter")
    'the same machine, with the same number of threads'
    """
    return find(backend).same_bits_on() if backend in MODULES else THIS_MACHINE


def tell_bits(path: Path, about: dict[str, Any], backend: str) -> None:
    """Warn where a training's bits were promised for other machines than they are now."""
    now, then = same_bits_on(backend), about.get("same_bits_on", THIS_MACHINE)
    if then != now:
        warnings.warn(
            f"{path}: the bits of the training that wrote it are the same on {shown(then, 60)}; "
            f"now they are the same on {now}: the result may differ in its last bits.",
            BitsWarning,
            stacklevel=users_level(),
        )
    elif now == THIS_MACHINE:
        tell_threads(path, about)


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
    found = {}
    for prefix, part in parts_of(optimizer):
        if not callable(part.lr):
            found[f"{prefix}lr"] = repr(part.lr)
        settings = {k: as_printed(v) for k, v in part.settings().items() if k not in apart}
        found |= {prefix + name: text for name, text in settings.items()}
    return found


def kind_of(optimizer: Any) -> Any:
    """The name of the class; of groups a list of them."""
    return _one_or_list(optimizer, lambda part: type(part).__name__)


def kinds_of_schedules(told: Any) -> Any:
    """The names of schedules, of what `schedules_of` has made of them.

    >>> kinds_of_schedules(["CosineDecay(lr=0.1, steps=300)", None, "<function f>"])
    ['CosineDecay', None, '<function f>']
    """
    if isinstance(told, list):
        return [kinds_of_schedules(one) for one in told]
    return told.partition("(")[0] if isinstance(told, str) else told


def schedules_of(optimizer: Any) -> Any:
    """The schedule of the learning rate as it prints, None of a number; of groups a list."""
    return _one_or_list(optimizer, lambda part: as_printed(part.lr) if callable(part.lr) else None)


def rates_of(optimizer: Any) -> Any:
    """The learning rate, None of a schedule; of groups a list."""
    return _one_or_list(optimizer, lambda part: None if callable(part.lr) else part.lr)


def clipping_of(optimizer: Any) -> Any:
    """The bound of the gradients; of groups a list."""
    return _one_or_list(optimizer, lambda part: part.clipping)


def _one_or_list(optimizer: Any, ask: Callable[[Any], Any]) -> Any:
    found = [ask(part) for _, part in parts_of(optimizer)]
    return found if isinstance(optimizer, ParameterGroups) else found[0]


def tell_settings(
    path: Path, given: dict[str, str], training: Training, about: dict[str, Any]
) -> None:
    """Warn of settings that are not those that the training was begun with, and say which hold."""
    then, told = training.settings, []
    if (before := about.get("schedule")) != (now := schedules_of(training.optimizer)):
        told.append(f"the schedule was {shown(before)} and is {shown(now)} from here on")
    rates = {f"{prefix}lr": repr(part.lr) for prefix, part in parts_of(training.optimizer)}
    for name in given:
        if name not in then or given[name] == then[name]:
            continue
        if name not in rates:
            told.append(f"{name} was {shown(then[name])} and is {given[name]} from here on")
            then[name] = given[name]
        elif given[name] != (now := rates[name]):
            since = "" if now == then[name] else f", {now} by now,"
            told.append(
                f"{name} was {shown(then[name])}{since} and stays so, {given[name]} is not used"
            )
    if told:
        warnings.warn(
            f"{path}: the training was begun with other settings of "
            f"{_spell(kind_of(training.optimizer))}: {'; '.join(told)}.",
            SettingsWarning,
            stacklevel=users_level(),
        )


def _spell(kind: Any) -> str:
    return kind if isinstance(kind, str) else f"the groups of {', '.join(kind)}"
