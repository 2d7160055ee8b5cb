"""Every public name's docstring says what it takes, in which shapes, with which defaults, what it
raises, and gives an example (which `test_docs` runs). Nodes say what their gradient is, too.
"""

import builtins
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import miniflow
from miniflow.lab.exercises import LabError

SITE = Path(__file__).resolve().parent.parent / "tools" / "site"
sys.path.insert(0, str(SITE))
from public import PublicName, public_names  # noqa: E402 (it needs the path)

sys.path.remove(str(SITE))

NAMES = public_names()
# Made by miniflow and handed out: nobody calls them, so they take nothing, and refuse nothing.
HANDED_OUT = {"Compiled", "Count", "Drawing", "Estimate", "History", "Model", "NotFiniteWarning"}
# Nothing that they are given can be wrong; the first two take a path, whatever it is.
REFUSE_NOTHING = {"is_class_folder", "is_name", "Callback", "TerminateOnNaN"}
A_SHAPE = re.compile(r"shape|\((?:n|m|k|T|\.\.\.),|number|channels|row")
OF_ARRAYS = ("nodes", "layers", "metrics", "initializers", "interpreter.passes", "estimator")
A_GRADIENT = re.compile(r"gradient|derivative|∂|slope")


def last(name: PublicName) -> str:
    return name.path.rpartition(".")[2]


def is_error(name: PublicName) -> bool:
    return isinstance(name.object, type) and issubclass(name.object, BaseException)


def is_handed_out(name: PublicName) -> bool:
    return last(name) in HANDED_OUT or hasattr(name.object, "_fields")


def called(names: list[PublicName]) -> list[Any]:
    """Those that a user calls."""
    return [pytest.param(n, id=n.path) for n in names if not is_error(n) and not is_handed_out(n)]


def doc_of(name: PublicName) -> str:
    own = vars(name.object).get("__doc__") if isinstance(name.object, type) else name.object.__doc__
    assert own, f"{name.written} has no docstring of its own"
    return inspect.cleandoc(own)


def described(doc: str) -> dict[str, str]:
    """What the docstring says of each argument, as either style of docstrings has it."""
    found: dict[str, str] = {}
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", doc + "\n", re.M)
    if section:
        for names, text in re.findall(
            r"^    ((?:\w+, )*\w+): (.*\n(?:     .*\n|\n)*)", section[1], re.M
        ):
            found |= dict.fromkeys(names.split(", "), text)
    numpy_style = re.search(r"^Parameters\n-+\n((?:.*\n)*?)(?:^\w.*\n-{3,}\n|\Z)", doc + "\n", re.M)
    if numpy_style:
        for names, text in re.findall(r"^((?:\w+, )*\w+)(?: : (.*))?$", numpy_style[1], re.M):
            found |= dict.fromkeys(names.split(", "), text)
    return found


@pytest.mark.parametrize("name", [pytest.param(n, id=n.path) for n in NAMES if not is_error(n)])
def test_there_is_an_example(name: PublicName) -> None:
    assert re.search(r"^>>> ", doc_of(name), re.M)


@pytest.mark.parametrize("name", called(NAMES))
def test_each_argument_is_described_with_its_default(name: PublicName) -> None:
    if last(name) == "Clipping":  # a dictionary of keywords, explained one by one
        return
    said = described(doc_of(name))
    others_are_elsewhere = re.search(r"As for `\w+`", doc_of(name))
    for key, parameter in inspect.signature(name.object).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        assert key in said, f"{name.written}: {key} is not described"
        if parameter.default is not parameter.empty and not others_are_elsewhere:
            text = said[key]
            assert (
                "default" in text
                or str(parameter.default) in text
                or re.search(r"\bas (for|there)", text)
            ), f"{name.written}: {key} has the default {parameter.default!r}"


@pytest.mark.parametrize("name", called(NAMES))
def test_it_says_what_it_raises(name: PublicName) -> None:
    doc = doc_of(name)
    takes_nothing = (
        inspect.isfunction(name.object) and not inspect.signature(name.object).parameters
    )
    if last(name) in REFUSE_NOTHING or takes_nothing:
        return
    doc = re.sub(r"^Raises\n-+\n(\w+)\n", r"Raises \1 ", doc, flags=re.M)
    sections = re.findall(r"^Raises:\n((?:    .*\n|\n)*)", doc + "\n", re.M)
    listed = [error for section in sections for error in re.findall(r"^    (\w+): ", section, re.M)]
    told = re.findall(r"Raises `?(\w+)`?", doc) + listed
    assert told, f"{name.written} does not say what it raises"
    for error in told:
        kind = getattr(miniflow.errors, error, None) or getattr(builtins, error, None)
        kind = kind or {"OptionError": miniflow.options.OptionError, "LabError": LabError}.get(
            error
        )
        assert isinstance(kind, type), f"{name.written}: there is no {error}"
        assert issubclass(kind, BaseException)


@pytest.mark.parametrize(
    "name",
    called([n for n in NAMES if n.home.removeprefix("miniflow.").startswith(OF_ARRAYS)]),
)
def test_what_takes_arrays_says_their_shapes(name: PublicName) -> None:
    assert A_SHAPE.search(doc_of(name)), f"{name.written} says no shapes"


@pytest.mark.parametrize("name", called([n for n in NAMES if n.is_node]))
def test_a_node_says_its_gradient(name: PublicName) -> None:
    assert A_GRADIENT.search(doc_of(name)), f"{name.written} says nothing of its gradient"


def test_errors_say_what_they_are_about() -> None:
    assert all(len(doc_of(name)) > 20 for name in NAMES if is_error(name))


# --- The reading itself


def test_arguments_are_read_from_either_style() -> None:
    google = "F.\n\nArgs:\n    x, y: any\n        shape.\n    name: None.\n\nMore: not one.\n"
    assert described(google) == {
        "x": "any\n        shape.\n",
        "y": "any\n        shape.\n",
        "name": "None.\n\n",
    }
    numpy_style = (
        "F.\n\nParameters\n------\na, b : int, default=3\n    Two.\n\nNotes\n-----\nc : 3\n"
    )
    assert described(numpy_style) == dict.fromkeys("ab", "int, default=3")
