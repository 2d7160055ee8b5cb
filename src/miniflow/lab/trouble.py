"""A learner's exception as a finding: their line, and one sentence in plain words.

No traceback is ever shown. What escapes without having passed through a line of the learner's, and
without being about their graph, is a defect of the check: its kind says so, and tests look for it.
"""

import re
from pathlib import Path

from miniflow.errors import GraphError
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
        sentence = in_plain_words(cause)
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
        return f"the name `{error.name}` is not known here: is it spelt right, or imported?"
    if isinstance(error, KeyError) and error.args:
        return no_entry_for(error.args[0])
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"an import failed: there is no module `{error.name}`."
    if isinstance(error, ImportError):
        return "an import failed."
    if isinstance(error, AssertionError):
        return "an assert of yours does not hold."
    if isinstance(error, ValueError) and "non-broadcastable output" in str(error):
        return "what you add with += is larger than the array that it goes into: print both shapes."
    said = describe_error(error).rstrip(".")
    return f"your code stopped with {'an' if said[0] in 'AEIO' else 'a'} {said}."


def no_entry_for(key: object) -> str:
    if isinstance(key, Node):
        return f"a dictionary has no entry for {key.label}; += needs a 0 there to start with."
    return f"a dictionary has no entry {key!r}: it is read before anything is written there."


def names_given_at_start(error: BaseException) -> set[str]:
    """The parameters of `__init__` of the object in whose method an error was raised."""
    last = [frame for frame, _ in walk(error.__traceback__)][-1:]
    thing = last[0].f_locals.get("self") if last else None
    code = getattr(type(thing).__init__, "__code__", None) if thing is not None else None
    return set(code.co_varnames[1 : code.co_argcount]) if code is not None else set()
