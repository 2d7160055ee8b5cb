"""A learner's exception as a finding: their line, and one sentence in plain words.

No traceback is ever shown. What escapes without having passed through a line of the learner's, and
without being about their graph, is a defect of the check: its kind says so, and tests look for it.
"""

import ast
import linecache
import re
from pathlib import Path
from types import FrameType
from typing import Any

from miniflow.errors import GraphError, NodeError
from miniflow.graph import Node
from miniflow.lab.lines import line_of_code, line_of_exception, walk
from miniflow.lab.results import CodeLine, Finding


def finding_of(
    error: BaseException, folder: Path, ran: str | None = None, at: object = None
) -> Finding:
    """What to tell a learner about an exception that their code raised, or made miniflow raise."""
    line = line_of_exception(error, folder)
    cause = error.__cause__ if isinstance(error, GraphError) and error.__cause__ else error
    if isinstance(cause, NotImplementedError):
        return Finding("unsolved", unwritten(cause, line), ran, line)
    if isinstance(cause, (TypeError, GraphError)) and "ellipsis" in str(cause):
        return Finding("unsolved", "there is still a `...` to be replaced.", ran, line)
    if isinstance(cause, GraphError):
        sentence = re.sub(r"^[^:]*: (?=the value is )", "", without_places(str(cause), folder))
        return Finding("exception", sentence, ran, line or line_of_code(at))
    if line is not None:
        sentence = written_in_place(error) or in_plain_words(cause)
        told = describe_error(cause)
        return Finding("exception", sentence, ran, line, None, None if told in sentence else told)
    return Finding(
        "defect",
        "the check cannot make sense of what your code gave. (It should have said more.)",
        ran,
        None,
        None,
        describe_error(error),
    )


def written_in_place(error: BaseException) -> str | None:
    """The sentence on a node that writes to what it was given, which miniflow has refused."""
    if not (isinstance(error, NodeError) and "in place, which was fed" in str(error)):
        return None
    names = re.findall(r"(?:the value of|and) \w+ '([^']*)'", str(error))
    return (
        f"your code changed {' and '.join(names) or 'an input'} in place; work on a copy, or write "
        "the result into a new array."
    )


def without_places(text: str, folder: Path) -> str:
    """What miniflow says of a graph, without the lines of the check that built its nodes."""

    def place(found: re.Match[str]) -> str:
        return found[0] if (folder / found[1]).is_file() else ""

    return re.sub(r" \(([^()\s]+):\d+\)", place, text.replace(" (unknown)", ""))


def unwritten(error: BaseException, line: CodeLine | None) -> str:
    said = str(error)
    if not said:
        return f"this is not written yet ({line.file})." if line else "not written yet."
    return re.sub(r"^([\w.]+) (?=is not written yet)", r"`\1` ", said)


def describe_error(error: BaseException) -> str:
    """Class and message of an exception, in one line."""
    said = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {said[:300]}" if said else name


def in_plain_words(error: BaseException) -> str:
    """One sentence on what an exception means for the person whose code raised it."""
    if isinstance(error, RecursionError):
        return "your code calls itself without end."
    if isinstance(error, SystemExit):
        return "your code ends Python (sys.exit or quit); take that out."
    if isinstance(error, EOFError):
        return "your code waits for input(), and a check cannot type; take that out."
    if isinstance(error, MemoryError):
        return "your code asked for more memory than there is."
    if isinstance(error, KeyboardInterrupt):
        return "your code was interrupted."
    if isinstance(error, UnboundLocalError):
        return "a variable is used before it is set."
    if isinstance(error, NameError) and error.name:
        if error.name in names_given_at_start(error):
            return (
                f"`{error.name}` is known in __init__ only; here, take the nodes out of "
                "self.inbound_nodes first."
            )
        if is_answer(error):
            return (
                f"the name `{error.name}` is not known here; an answer in words stands in quotes: "
                f'"{error.name}".'
            )
        return f"the name `{error.name}` is not known here: is it spelt right, or imported?"
    if isinstance(error, KeyError) and error.args:
        return asked_of_the_wrong_node(error) or no_entry_for(error.args[0])
    if isinstance(error, ZeroDivisionError):
        return "your code divides by zero: what comes in may be 0."
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"an import failed: there is no module `{error.name}`."
    if isinstance(error, ImportError):
        return "an import failed."
    if isinstance(error, AssertionError):
        return "an assert of yours does not hold."
    if isinstance(error, ValueError) and "non-broadcastable output" in str(error):
        return "what you add with += is larger than the array that it goes into: print both shapes."
    if isinstance(error, TypeError) and "converted to Python scalars" in str(error):
        if "math." in text_of_last_line(error):
            return "`math` works on single numbers, and an array came: take NumPy's, np.exp say."
        return "an array stands where a single number must."
    if isinstance(error, TypeError) and "len() of unsized object" in str(error):
        return "your code asks for the length of a single number, which has none."
    if isinstance(error, ValueError) and "could not be broadcast" in str(error):
        line = text_of_last_line(error)
        if "axis" in line and "keepdims" not in line and ("max(" in line or "sum(" in line):
            return "shapes do not line up: keepdims=True keeps the axis, one number for each row."
    said = describe_error(error).rstrip(".")
    return f"your code stopped with {'an' if said[0] in 'AEIO' else 'a'} {said}."


def no_entry_for(key: object) -> str:
    if isinstance(key, Node):
        return f"a dictionary has no entry for {key.label}; += needs a 0 there to start with."
    return f"a dictionary has no entry {key!r}: it is read before anything is written there."


def last_frame(error: BaseException) -> tuple[FrameType, int] | None:
    """Where an error was raised, and at which line."""
    return next(iter([*walk(error.__traceback__)][-1:]), None)


def text_of_last_line(error: BaseException) -> str:
    last = last_frame(error)
    if last is None:
        return ""
    return linecache.getline(last[0].f_code.co_filename, last[1]).strip()


def parsed_last_line(error: BaseException) -> ast.AST | None:
    """The line at which an error was raised; None if it is no whole statement."""
    try:
        return ast.parse(text_of_last_line(error).rstrip(":") or "pass")
    except SyntaxError:
        return None


def is_answer(error: BaseException) -> bool:
    """Whether an error was raised by a line like `state = [w1, b]` at the top level of a file."""
    last, tree = last_frame(error), parsed_last_line(error)
    if last is None or last[0].f_code.co_name != "<module>" or not isinstance(tree, ast.Module):
        return False
    (statement,) = tree.body
    plain = (ast.Name, ast.List, ast.Tuple, ast.Set, ast.Constant, ast.expr_context)
    return isinstance(statement, ast.Assign) and all(
        isinstance(node, plain) for node in ast.walk(statement.value)
    )


def asked_of_the_wrong_node(error: KeyError) -> str | None:
    """What to say of `n.gradients[key]`, by what n and the key are to the node whose code it is."""
    last, tree = last_frame(error), parsed_last_line(error)
    if last is None or tree is None:
        return None
    names = last[0].f_locals
    me, key = names.get("self"), error.args[0]
    if not isinstance(me, Node) or not isinstance(key, Node):
        return None
    for place in ast.walk(tree):
        if not isinstance(place, ast.Subscript) or not isinstance(place.value, ast.Attribute):
            continue
        if place.value.attr != "gradients" or names.get(ast.unparse(place.slice), key) is not key:
            continue
        name = ast.unparse(place.value.value)
        asked: Any = names.get(name)
        if key is me and any(asked is node for node in me.inbound_nodes):
            return (
                f"`{name}` is an inbound node here: gradients come from the consumers, so the loop "
                "goes over self.outbound_nodes."
            )
        if asked is not me and any(key is node for node in me.inbound_nodes):
            return f"ask the consumer about this node itself: {name}.gradients[self]."
        if asked is me and (wrong := dictionary_with(key, me)):
            return f"your dictionary is `self.{wrong}`, and is asked for as `self.gradients`."
    return None


def dictionary_with(key: Node, node: Node) -> str | None:
    """The name of an attribute that was meant to be `gradients`: a dictionary with that key."""
    for name, thing in vars(node).items():
        if isinstance(thing, dict) and key in thing and name not in ("gradients", "cache"):
            return name
    return None


def names_given_at_start(error: BaseException) -> set[str]:
    """The parameters of `__init__` of the object in whose method an error was raised."""
    last = last_frame(error)
    thing = last[0].f_locals.get("self") if last else None
    code = getattr(type(thing).__init__, "__code__", None) if thing is not None else None
    return set(code.co_varnames[1 : code.co_argcount]) if code is not None else set()
