"""From one source: the learner's file, the notebook and the solution, the same bytes every time."""

import ast
import json
import re
from pathlib import Path

import pytest

from miniflow.lab import generate
from miniflow.lab.exercises import CHAPTERS, Chapter, LabError, exercise
from miniflow.lab.folder import HANDOUT, SOLUTIONS
from miniflow.lab.notebooks import notebook
from miniflow.lab.source import BEGIN, END, Cell, file_text, read_cells, regions

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.exercise)

SOURCE = '''"""A note to maintainers."""

# %% [markdown]
# # 3. Nodes
#
# Reading, with $x$.

# %% [markdown] tags=["file"]
# **Question.** Why?

# %% tags=["file"]
class Mul:
    def forward(self):
        ### BEGIN SOLUTION
        # stub: # Set self.value.
        # stub: raise NotImplementedError("later")
        self.value = 12
        ### END SOLUTION

# %%
from mul import Mul

# %% check="mul" points=10
check("mul")
'''


def test_everything_that_is_handed_out_is_up_to_date() -> None:
    assert generate.out_of_date(generate.all_made()) == []


def test_the_same_sources_make_the_same_bytes() -> None:
    assert generate.all_made() == generate.all_made()


# --- The files


def test_learners_file_has_the_stubs_and_no_solution() -> None:
    text = file_text(read_cells(SOURCE, "c3.py"), solved=False, name="c3.py")
    assert text == (
        "# **Question.** Why?\n\n\n"
        "class Mul:\n    def forward(self):\n        # Set self.value.\n"
        '        raise NotImplementedError("later")\n'
    )


def test_solution_has_no_stub_and_no_mark() -> None:
    text = file_text(read_cells(SOURCE, "c3.py"), solved=True, name="c3.py")
    assert text.endswith("    def forward(self):\n        self.value = 12\n")
    assert "SOLUTION" not in text
    assert "stub" not in text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("# %%\n### BEGIN SOLUTION\n# stub: x\ny\n", "without ### END"),
        ("# %%\n### BEGIN SOLUTION\ny = 1\n### END SOLUTION\n", "without a line `# stub:"),
        ("# %%\n### END SOLUTION\n", "where there can be none"),
        ('# %% tag=["file"]\n', "no option 'tag'"),
        ("# %% file\n", "cannot read 'file'"),
        ("# %% [markdown]\nx = 1\n", "no comment: 'x = 1'"),
    ],
)
def test_mistake_in_a_source_is_named_with_its_line(source: str, says: str) -> None:
    with pytest.raises(LabError, match=r"c1\.py:\d.*" + re.escape(says)):
        read_everything(source)


def read_everything(source: str) -> None:
    for cell in read_cells(source, "c1.py"):
        list(regions(cell.text, f"c1.py:{cell.line}"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("It is $1 + 1 =\n2$, as you know.", "a formula runs over the end of a line"),
        ("A step from 0 to\n1. The weights say where.", "begins like a list"),
    ],
)
def test_what_would_not_be_shown_as_it_is_meant_is_refused(text: str, says: str) -> None:
    assert says in next(generate.misrendered(text))


def test_what_is_shown_as_it_is_meant_is_not_refused() -> None:
    text = "Costs `$5` and $x$:\n\n1. one,\n   $y$\n2. two\n\n$$ a\nb $$\n\n```text\n$HOME\n```\n"
    assert list(generate.misrendered(text)) == []


@every_chapter
def test_handed_out_file_is_python_without_a_solution(chapter: Chapter) -> None:
    handed_out = (HANDOUT / chapter.file).read_text(encoding="utf-8")
    ast.parse(handed_out)
    assert BEGIN not in handed_out
    assert END not in handed_out
    for cell in generate.cells_of(chapter):
        for region in regions(cell.text, ""):
            solution = "\n".join(region.plain)
            if region.stubs and len(solution.strip()) > 12:
                assert solution not in handed_out


@every_chapter
def test_file_and_solution_differ_and_say_the_same_around_it(chapter: Chapter) -> None:
    handed_out = (HANDOUT / chapter.file).read_text(encoding="utf-8").splitlines()
    solution = (SOLUTIONS / chapter.file).read_text(encoding="utf-8").splitlines()
    assert handed_out != solution
    assert [line for line in handed_out if line.startswith(("# Question", "# **"))] == [
        line for line in solution if line.startswith(("# Question", "# **"))
    ]


# --- The notebooks


def test_notebook_has_setup_reading_runs_and_a_locked_check() -> None:
    cells = json.loads(notebook(read_cells(SOURCE, "c3.py"), "03_nodes"))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown"] * 2 + ["code"] * 3
    assert "".join(cells[2]["source"]).startswith("%load_ext autoreload\n%autoreload 2\n")
    assert cells[3]["source"] == ["from mul import Mul"]
    assert cells[4]["source"] == ['check("mul").grade()']
    assert cells[4]["metadata"]["nbgrader"] == {
        "grade": True,
        "grade_id": "check-mul",
        "locked": True,
        "points": 10,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }


@every_chapter
def test_notebook_says_in_which_file_the_exercise_is_written(chapter: Chapter) -> None:
    cells = json.loads((HANDOUT / chapter.notebook).read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    (exercise_cell,) = [text for text in texts if text.startswith("## Exercise")]
    assert f"[{chapter.file}]({chapter.file}): write there." in exercise_cell


def test_solution_in_a_cell_of_the_notebook_alone_is_refused() -> None:
    cells = generate.cells_of(CHAPTERS[0])
    leaked = Cell(markdown=False, text=f"{BEGIN}\nn = 2\n{END}", line=99)
    with pytest.raises(LabError, match=r"c1\.py:99: a solution outside of the learner's file"):
        generate.refuse_mistakes(CHAPTERS[0], [*cells, leaked], "c1.py")


@every_chapter
def test_notebook_is_valid_and_carries_no_outputs(chapter: Chapter) -> None:
    text = (HANDOUT / chapter.notebook).read_text(encoding="utf-8")
    document = json.loads(text)
    ids = [cell["id"] for cell in document["cells"]]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[\w-]{1,64}", id) for id in ids)
    assert not any(cell.get("outputs") for cell in document["cells"])
    nbformat = pytest.importorskip("nbformat", reason="nbformat is in the dev extra")
    nbformat.validate(document)


@every_chapter
def test_check_cell_is_worth_what_the_parts_are_worth(chapter: Chapter) -> None:
    cells = json.loads((HANDOUT / chapter.notebook).read_text(encoding="utf-8"))["cells"]
    grading = [
        c["metadata"]["nbgrader"] for c in cells if c["metadata"].get("nbgrader", {}).get("grade")
    ]
    assert [cell["points"] for cell in grading] == [exercise(chapter.exercise).points]


@every_chapter
def test_mathematics_is_closed_and_pictures_have_words(chapter: Chapter) -> None:
    for cell in generate.cells_of(chapter):
        if cell.markdown:
            prose = re.sub(r"```.*?```|`[^`\n]*`", "", cell.text, flags=re.S).replace(r"\$", "")
            assert prose.count("$$") % 2 == 0, f"{chapter.source}:{cell.line}"
            assert prose.replace("$$", "").count("$") % 2 == 0, f"{chapter.source}:{cell.line}"
            for words in re.findall(r"!\[([^\]]*)\]", prose):
                assert len(words) > 20, f"{chapter.source}:{cell.line}: {words!r}"


# --- The pictures


def test_every_picture_has_a_title_a_description_and_a_dark_side() -> None:
    for path, data in generate.made_from_figures().items():
        for needed in ("<svg", "<title", "<desc", "prefers-color-scheme"):
            assert needed in data, f"{path} has no {needed}"


def test_every_picture_is_used() -> None:
    used = "".join(cell.text for chapter in CHAPTERS for cell in generate.cells_of(chapter))
    for path in generate.made_from_figures():
        assert f"pictures/{Path(path).name}" in used, f"{path} is shown nowhere"


def test_command_writes_what_is_out_of_date_and_its_check_only_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "LAB", tmp_path)
    monkeypatch.setattr(generate, "all_made", lambda names: {"handout/a.py": b"1\n"})
    (tmp_path / "handout").mkdir()
    (tmp_path / "handout" / "old.py").write_text("", encoding="utf-8")
    assert generate.main(["--check"]) == 1
    assert "out of date  handout/a.py" in capsys.readouterr().out
    assert generate.main([]) == 0
    assert (tmp_path / "handout" / "a.py").read_bytes() == b"1\n"
    assert not (tmp_path / "handout" / "old.py").exists()
    assert generate.main(["--check"]) == 0


def test_chapter_that_does_not_exist_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check", "mull", "mul"]) == 1
    assert capsys.readouterr().err == "error: There is no chapter mull.\n"


def test_what_nothing_makes_any_more_is_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"handout/a.py": b"1\n"}
    monkeypatch.setattr(generate, "on_disk", lambda: {**made, "handout/old.py": b""})
    assert generate.out_of_date(made) == ["handout/old.py"]
    assert generate.out_of_date({"handout/a.py": b"2\n"}, whole=False) == ["handout/a.py"]
