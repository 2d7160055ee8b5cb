"""Whatever nodes and classes are called, nothing that shows them lets a terminal be commanded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.backends.javascript import to_javascript

CODES = "\x1b]0;pwned\x07\x1b[31m"
NAMES = {
    "terminal codes": f"h{CODES}",
    "lines": "h\n'''\nimport os; os.abort()\n'''\r\n\u2028x",
    "comment": "h */ } \\ </script> --> \N{RIGHT-TO-LEFT OVERRIDE}",
    "surrogate": "h\udcfc\ud800",
    "null": "h\x00\x7f",
}


class Square(mf.Op):
    """Somebody's own node."""

    def compute(self, x: Any) -> Any:
        return x * x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad * 2 * x,)


def graph(name: str) -> tuple[Any, dict[Any, Any]]:
    letters = name.replace("\x00", "").encode(errors="ignore").decode()  # Python takes no others
    kind = type(f"Square{letters}", (Square,), {})
    x, w = mf.Input(name), mf.Parameter(np.ones((3, 2)), f"w{name}")
    hidden = kind(x @ w, name=name)
    return mf.Mean(hidden, name=f"{name} loss"), {x: np.ones((4, 3))}


def is_harmless(text: str) -> bool:
    return (
        all(c.isprintable() or c in "\n\t" for c in text) and "import os" not in text.splitlines()
    )


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_pictures_of_a_graph_are_harmless(name: str, tmp_path: Path) -> None:
    loss, feed = graph(name)
    mf.value(loss, feed)
    for ending in ("txt", "dot", "mmd", "svg", "html"):
        mf.draw(loss).save(tmp_path / f"graph.{ending}")
        assert is_harmless((tmp_path / f"graph.{ending}").read_text(encoding="utf-8")), ending


@pytest.mark.parametrize("backend", names(RUN, COMPARE))
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_programs_and_sources_are_harmless(name: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")
    loss, feed = graph(name)
    step = mf.compile(loss, backend=backend)
    step(feed)
    for text in (str(step.program), step.source, str(mf.draw(step.program))):
        assert is_harmless(text)
        text.encode()
    assert is_harmless(to_javascript(step.program))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_model_with_such_names_is_saved_and_read(name: str, tmp_path: Path) -> None:
    loss, feed = graph(name)
    hidden = loss.inbound_nodes[0]
    mf.save(hidden, tmp_path / "model.safetensors", feed)
    model = mf.load(tmp_path / "model.safetensors")
    (x,) = feed.values()
    np.testing.assert_allclose(model(x), mf.value(hidden, feed))
    assert is_harmless(f"{model} {model.program} {model.inputs}")
