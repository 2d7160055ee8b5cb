"""What a node's code can reach: the generators of random numbers that it may draw from, and the
objects that it may write to.

Whether code is random cannot be seen from what it computes: a coin that falls on its edge once in a
thousand times shows the same side in every recording. But the generator that it asks has moved. So
the code is followed to all generators that it names: from the attributes of a node and the
functions of its class to the global variables, the closures and the default arguments that these
use, to the functions and objects that are found there, and on.
"""

import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from miniflow.graph import Node
from miniflow.graph.places import is_ours
from miniflow.interpreter.keeping import OURS, PLAIN, attributes_of, is_helper

MOST = 20_000  # things that are looked at: what is farther away is not worth the time
_GLOBAL = (random._inst, np.random.mtrand._rand)


class Reached(NamedTuple):
    """Generators of random numbers, and objects of other people's classes that are no nodes."""

    generators: list[Any]
    helpers: list[Any]


def reached_from(things: Iterable[Any]) -> Reached:
    """What the code of nodes, optimizers and functions can reach.

    >>> from types import SimpleNamespace
    >>> rng = random.Random(0)
    >>> reached_from([SimpleNamespace(noise=SimpleNamespace(draw=rng.random))]).generators == [rng]
    True
    """
    found = Reached([], [])
    waiting = [part for thing in things for part in _first_parts(thing)]
    seen: dict[int, Any] = {}  # kept alive, so that no other thing gets its number
    while waiting and len(seen) < MOST:
        thing = waiting.pop()
        if type(thing) in PLAIN or id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if is_generator(thing):
            found.generators.append(thing)
        elif is_helper(thing):
            found.helpers.append(thing)
        waiting += _parts(thing)
    return found


def is_generator(thing: Any) -> bool:
    """Whether it draws random numbers, and has a state that tells."""
    kinds = (np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random)
    return isinstance(thing, kinds) and not isinstance(thing, random.SystemRandom)


def _first_parts(thing: Any) -> Iterator[Any]:
    """A node is its attributes and its class; so is an optimizer. A function is one part."""
    if isinstance(thing, FunctionType):
        yield thing
    else:
        yield from (value for name, value in vars(thing).items() if name not in OURS)
        yield type(thing)


def _parts(thing: Any) -> Iterator[Any]:
    """What can be reached from a thing in one step."""
    if isinstance(thing, (Node, np.ndarray)):
        return
    if isinstance(thing, FunctionType):
        if not is_ours(thing) and not _is_known(thing.__module__):
            yield from _parts_of_function(thing)
    elif isinstance(thing, type):
        for class_ in thing.__mro__:
            if not is_ours(class_) and not _is_known(class_.__module__):
                yield from vars(class_).values()
    elif isinstance(thing, MethodType):
        yield thing.__func__
        yield thing.__self__
    elif isinstance(thing, BuiltinFunctionType):
        if not isinstance(thing.__self__, (ModuleType, type)):
            yield thing.__self__
    elif isinstance(thing, partial):
        yield from (thing.func, thing.args, thing.keywords)
    elif isinstance(thing, (staticmethod, classmethod)):
        yield thing.__func__
    elif isinstance(thing, property):
        yield from (thing.fget, thing.fset)
    elif isinstance(thing, (list, tuple, set, frozenset, deque)):
        yield from thing
    elif isinstance(thing, dict):
        yield from thing.values()
    if is_helper(thing):
        yield from attributes_of(thing).values()
        yield type(thing)


def _parts_of_function(function: FunctionType) -> Iterator[Any]:
    names = _names(function.__code__)
    if "random" in names:  # of a module, perhaps one that is imported in the function
        yield from _GLOBAL
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        yield from _named_in(value, names) if isinstance(value, ModuleType) else [value]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty as yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()  # what it wraps, for one


def _named_in(module: ModuleType, names: set[str]) -> Iterator[Any]:
    """What a function can mean by the names that it writes after a module's."""
    if module is random or module is np.random:
        yield from _GLOBAL
    if not _is_known(module.__name__):
        for name in names & vars(module).keys():
            if not isinstance(value := vars(module)[name], ModuleType):
                yield value


def _names(code: CodeType) -> set[str]:
    """All names in a function's code, those of the functions inside it too."""
    names, waiting = set(code.co_names), list(code.co_consts)
    while waiting:
        constant = waiting.pop()
        if isinstance(constant, CodeType):
            names.update(constant.co_names)
            waiting += constant.co_consts
    return {name for name in names if name.isidentifier()}  # pytest writes others into assertions


def _is_known(module: str | None) -> bool:
    """Whether a module is Python's or NumPy's own: these draw from no generator of others."""
    root = str(module).partition(".")[0]
    return root in sys.stdlib_module_names - {"__main__"} or root == "numpy"
