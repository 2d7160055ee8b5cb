"""The checks in a notebook's cell: readable in light and dark, and worth its points."""

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_exercise import SOLUTION, exercise

import miniflow as mf
from miniflow.errors import NodeError
from miniflow.lab.findings import Points, Report
from miniflow.lab.folder import SOLUTIONS, handed_out
from miniflow.lab.html import COLOURS, as_html
from miniflow.lab.inside import check_inside
from miniflow.lab.notebook import unwritten_in


def report(folder: Path, text: str) -> Report:
    (folder / "mul.py").write_text(text, encoding="utf-8")
    return check_inside(exercise, folder, 1)


def test_check_finds_the_lab_and_runs_what_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    from miniflow.lab import check

    for name, data in handed_out().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    assert not check("networks").passed
    Path("networks.py").write_bytes((SOLUTIONS / "networks.py").read_bytes())
    assert check("networks").must_pass().passed


def test_report_that_must_pass_and_does_not_raises_without_a_traceback(tmp_path: Path) -> None:
    wrong = report(tmp_path, SOLUTION.replace("x.value * y.value", "x.value + y.value"))
    with pytest.raises(AssertionError, match="You added; Mul multiplies") as raised:
        wrong.must_pass()
    (shown,) = raised.value._render_traceback_()  # type: ignore[attr-defined]
    assert "Traceback" not in shown
    assert "You added" in shown


def test_grade_shows_the_report_and_gives_its_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("IPython", reason="IPython is in the dev extra")
    assert report(tmp_path, SOLUTION.replace("= 2", "= 3")).grade() == 5.0
    assert "That is the number of nodes" in capsys.readouterr().out


def test_html_shows_what_the_text_shows_and_escapes_the_learners_code(tmp_path: Path) -> None:
    wrong = report(tmp_path, SOLUTION.replace("x.value * y.value", "x.value + (1 < 2)"))
    html = as_html(wrong)
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "", html)
    assert "(1 &lt; 2)" in text
    assert "forward multiplies" in text
    assert "<script" not in html


def test_grade_is_a_number_for_nbgrader_and_words_for_a_reader(tmp_path: Path) -> None:
    points = Points(report(tmp_path, SOLUTION).points)
    assert repr(points) == "6.0"
    assert points._repr_html_() == "<small>6 points</small>"


def test_rows_fit_into_a_cell_beside_jupyterlabs_folder(tmp_path: Path) -> None:
    html = as_html(report(tmp_path, SOLUTION))
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "", html)
    assert max(map(len, text.splitlines())) <= 76


def test_unwritten_code_is_said_in_a_sentence_and_other_errors_are_left_alone(
    tmp_path: Path,
) -> None:
    stub = 'raise NotImplementedError("Mul.forward is not written yet.")'
    (tmp_path / "mul.py").write_text(
        SOLUTION.replace("self.value = x.value * y.value", stub), encoding="utf-8"
    )
    found = runpy.run_path(str(tmp_path / "mul.py"))
    x, y = mf.Input("x"), mf.Input("y")
    with pytest.raises(NodeError) as raised:
        mf.value(found["Mul"](x, y), {x: 1.0, y: 2.0})
    sentence = unwritten_in(raised.value, tmp_path)
    assert sentence is not None
    assert sentence.startswith("Mul.forward is not written yet: mul.py, line 12.\n")
    assert unwritten_in(raised.value, tmp_path / "elsewhere") is None
    assert unwritten_in(ValueError("x"), tmp_path) is None


def test_node_of_a_notebooks_cell_is_named_by_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    file = "ipykernel_1/2137454542.py"
    shell = SimpleNamespace(compile=SimpleNamespace(_filename_map={file: 7}))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    names = {"mf": mf}
    exec(compile("\n\n\nx = mf.Input('x')", file, "exec"), names)
    exec(compile("y = mf.Input('y')", "other.py", "exec"), names)
    assert str(names["x"]) == "Input 'x' (cell 7, line 4)"
    assert str(names["y"]) == "Input 'y' (other.py:1)"


@pytest.mark.parametrize(("ground", "which"), [("#ffffff", 0), ("#111111", 1)])
def test_colours_can_be_read_in_light_and_in_dark(ground: str, which: int) -> None:
    for name, pair in COLOURS.items():
        lighter, darker = sorted((luminance(pair[which]), luminance(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
