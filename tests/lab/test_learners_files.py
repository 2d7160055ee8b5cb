"""A learner's file: one that is no Python, one of another's code, and the nodes that are theirs."""

from pathlib import Path

import pytest
from checked import check, first, run
from small_exercise import SOLUTION, exercise

import miniflow as mf
from miniflow.lab.checking import Work
from miniflow.lab.inside import check_inside

# --- Files that are no Python


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "mul.py is empty"),
        (b"\n  \n", "mul.py is empty"),
        ("über = 1".encode("latin-1"), "not UTF-8 text"),
        (b"x = (1\n", "mul.py is not Python yet: '(' was never closed"),
        (b"def f():\nreturn 1\n", "expected an indented block"),
        (b"a = 1\x00", "null bytes"),
        (b"import nothing_of_this_name\n", "there is no module `nothing_of_this_name`"),
        (b"from json import nothing_of_this_name\n", "an import failed"),
        (b"def f():\n    return f()\nf()\n", "calls itself without end"),
        (b"import sys\nsys.exit()\n", "ends Python"),
        (b"raise KeyboardInterrupt\n", "was interrupted"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_file_that_cannot_be_imported_is_survived_with_a_sentence(
    tmp_path: Path, data: bytes, says: str
) -> None:
    (tmp_path / "mul.py").write_bytes(data)
    report = check_inside(exercise, tmp_path, 1)
    assert report.trouble is not None
    assert says in report.trouble.sentence
    assert "mul.py" in str(report.trouble)
    assert report.points == 0
    assert not any(part.ran for part in report.parts)


def test_missing_file_is_named(tmp_path: Path) -> None:
    report = check_inside(exercise, tmp_path, 1)
    assert report.trouble is not None
    assert report.trouble.sentence.startswith("mul.py is not in ")


def test_syntax_error_is_shown_with_its_line_and_a_caret_under_the_place(tmp_path: Path) -> None:
    report = check("a = 1\n    b = 2 +* 3\n".replace("    ", ""), tmp_path)
    lines = str(report).splitlines()
    (shown,) = [i for i, line in enumerate(lines) if "b = 2 +* 3" in line]
    assert "mul.py:2" in lines[shown]
    assert lines[shown][lines[shown + 1].index("^")] == "*"


def test_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "mul.py").write_text(SOLUTION, encoding="utf-8-sig")
    assert check_inside(exercise, tmp_path, 1).passed


def test_edit_within_the_same_second_and_of_the_same_length_is_seen(tmp_path: Path) -> None:
    assert check(SOLUTION, tmp_path).passed
    wrong = SOLUTION.replace("x.value * y.value", "x.value + y.value")
    assert len(wrong) == len(SOLUTION)
    assert not check(wrong, tmp_path).passed


# --- Whose code it is


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from miniflow import Mul\n", "`Mul` is miniflow's own, not yours"),
        ("import miniflow as mf\nclass Mul(mf.Mul): pass\n", "`Mul` uses Mul, which is miniflow's"),
        (
            "import miniflow as mf\nclass Mul(mf.Node):\n    def __init__(self, x, y):\n"
            "        mf.Node.__init__(self, [x, y])\n    forward = mf.Mul.forward\n"
            "    backward = mf.Mul.backward\n",
            "miniflow's own, not yours",
        ),
        ("class Mul: pass\n", "`Mul` must be a class: class Mul(Node)"),
        ("def Mul(x, y): return x * y\n", "`Mul` must be a class"),
        ("Mul = ...\n", "`Mul` is not written yet"),
        ("", "does not define `Mul`"),
    ],
)
def test_library_never_stands_in_for_the_learner(tmp_path: Path, text: str, says: str) -> None:
    report = check("paths_from_x = 2\n" + text, tmp_path)
    assert says in first(report).sentence
    assert report.points == 1


def test_class_from_another_file_of_the_learner_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOLUTION, encoding="utf-8")
    assert check("from mine import *\n", tmp_path).passed


def test_graph_of_learners_nodes_with_one_of_the_librarys_is_refused(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        Mul = work.get("Mul", mf.Node)
        x = mf.Input("x")
        work.require_own_nodes(mf.DummyGrad(Mul(x, x)), library=[mf.DummyGrad])
        work.require_own_nodes(mf.Sigmoid(Mul(x, x)))

    finding = first(run(part, tmp_path, SOLUTION))
    assert finding.sentence.startswith("`Sigmoid` is miniflow's own")
