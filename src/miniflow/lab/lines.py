"""Which line of a learner's code a finding should show.

A number is wrong in `self.gradients[x]`: the line to look at is the one that set it. That is found
by reading the learner's method, not by running it: the statement that sets the value, or the
gradient of the input in question; failing that, the method's first line. For an exception it is the
last line of theirs in the traceback.
"""

import ast
import inspect
import linecache
import os
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from miniflow.lab.results import CodeLine


def line_of(path: str, number: int) -> CodeLine:
    """A line of a file as it is on the disk now."""
    linecache.checkcache(path)
    return CodeLine(Path(path).name, number, linecache.getline(path, number).strip())


def is_in(folder: Path, path: str | None) -> bool:
    """Whether a file lies in a learner's folder."""
    if not path or path.startswith("<"):
        return False
    return _resolved(os.path.abspath(path)).parent == _resolved(os.path.abspath(folder))


@lru_cache(maxsize=1024)  # each frame, class and method of a check asks
def _resolved(path: str) -> Path:
    return Path(path).resolve()


@lru_cache(maxsize=8)
def _parsed(source: str) -> ast.Module:
    """A file's syntax tree, which several parts of a check ask for."""
    return ast.parse(source)


def line_of_exception(error: BaseException, folder: Path) -> CodeLine | None:
    """The last line of a learner's files in the traceback of an error, or of what caused it."""
    seen: BaseException | None = error
    found: CodeLine | None = None
    while seen is not None:
        for frame, number in walk(seen.__traceback__):
            if is_in(folder, frame.f_code.co_filename):
                found = line_of(frame.f_code.co_filename, number)
        seen = seen.__cause__
    return found


def walk(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def line_of_code(at: Any) -> CodeLine | None:
    """The line of a learner's code to show for `at`.

    Args:
        at: a function or method; a class (its first line); a pair `(method, n)`: where that method
            sets the gradient of the input number n; a `CodeLine`, as it is; None.
    """
    if at is None or isinstance(at, CodeLine):
        return at
    at, which = at if isinstance(at, tuple) else (at, None)
    found = definition_of(at)
    if found is None:
        return None
    path, first, function = found
    return line_of(path, first + setting_statement(function, which).lineno - 1)


def definition_of(thing: Any) -> tuple[str, int, ast.stmt] | None:
    """The file of a function or class, the number of its first line there, and what it says."""
    try:
        path = inspect.getsourcefile(inspect.unwrap(thing))
        source, first = inspect.getsourcelines(thing)
        tree = ast.parse(textwrap.dedent("".join(source)))
    except (TypeError, OSError, SyntaxError):
        return None
    return None if path is None else (path, first, tree.body[0])


def adds_up(method: Any, which: int) -> bool:
    """Whether the line that sets the gradient of an input adds to it: `+=`, and not `=`."""
    found = definition_of(method)
    return found is not None and isinstance(setting_statement(found[2], which), ast.AugAssign)


def line_that_assigns(function: Any, name: str) -> CodeLine | None:
    """The last line of a function that assigns to a name; None if there is none."""
    return line_that_sets(function, lambda target: ast.unparse(target) == name)


def line_that_sets_another_value(function: Any) -> CodeLine | None:
    """The last line of a method that sets the value of another node, `x.value *= ...`; None if
    there is none.
    """
    return line_that_sets(
        function,
        lambda target: (
            isinstance(target, ast.Attribute)
            and target.attr == "value"
            and ast.unparse(target.value) != "self"
        ),
    )


def line_that_sets(function: Any, wanted: Callable[[ast.expr], bool]) -> CodeLine | None:
    found = definition_of(function)
    if found is None:
        return None
    path, first, definition = found
    numbers = [
        statement.lineno
        for statement in ast.walk(definition)
        if isinstance(statement, ast.stmt) and sets(statement, wanted)
    ]
    return line_of(path, first + max(numbers) - 1) if numbers else None


def setting_statement(function: ast.stmt, which: int | None) -> ast.stmt:
    """The statement of a method that sets what a check looks at; the method itself if none does."""
    statements = [n for n in ast.walk(function) if isinstance(n, ast.stmt) and n is not function]
    statements.sort(key=lambda statement: statement.lineno)
    gradients = [s for s in statements if sets(s, is_gradient)]
    if which is not None:
        names = names_of_input(statements, which)
        of_input = [
            s for s in gradients if sets(s, lambda t: is_gradient(t) and key_of(t) in names)
        ]
        gradients = of_input or gradients
    whole = [s for s in statements if sets(s, lambda t: ast.unparse(t) == "self.gradients")]
    values = [s for s in statements if sets(s, lambda t: ast.unparse(t) == "self.value")]
    returns = [s for s in statements if isinstance(s, ast.Return) and s.value is not None]
    in_place = [s for s in statements if changes_in_place(s)]
    for found in (gradients, whole, values, returns, in_place):
        if found:
            return found[-1]
    return function


def changes_in_place(statement: ast.stmt) -> bool:
    """Whether a statement is like `p -= step` or `p[...] = step`."""
    return isinstance(statement, ast.AugAssign) or sets(
        statement, lambda target: isinstance(target, ast.Subscript)
    )


def sets(statement: ast.stmt, wanted: Callable[[ast.expr], bool]) -> bool:
    return any(wanted(target) for target in targets_of(statement))


def targets_of(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        return [statement.target]
    return []


def is_gradient(target: ast.expr) -> bool:
    return isinstance(target, ast.Subscript) and ast.unparse(target.value).endswith("gradients")


def key_of(target: ast.expr) -> str:
    return ast.unparse(target.slice) if isinstance(target, ast.Subscript) else ""


def names_of_input(statements: list[ast.stmt], which: int) -> set[str]:
    """The expressions that mean the input number `which` in a method."""
    names = {f"self.inbound_nodes[{which}]"}
    for statement in statements:
        if not isinstance(statement, ast.Assign):
            continue
        target, source = statement.targets[0], ast.unparse(statement.value)
        if isinstance(target, ast.Tuple) and source == "self.inbound_nodes":
            if which < len(target.elts):
                names.add(ast.unparse(target.elts[which]))
        elif source in names:
            names.add(ast.unparse(target))
    return names


def line_of_name(path: Path, name: str) -> CodeLine | None:
    """Where a file sets a name at its top level, for the last time."""
    try:
        tree = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None
    found = None
    for statement in tree.body:
        defined = getattr(statement, "name", None)
        set_here = {
            n.id for t in targets_of(statement) for n in ast.walk(t) if isinstance(n, ast.Name)
        }
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            set_here = {alias.asname or alias.name for alias in statement.names}
        if name == defined or name in set_here:
            found = statement.lineno
    return None if found is None else line_of(str(path), found)
