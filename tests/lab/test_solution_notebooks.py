"""Every notebook, in a folder where everything is solved, runs from top to bottom."""

from pathlib import Path

import pytest

from miniflow.lab.exercises import CHAPTERS, Chapter
from miniflow.lab.folder import SOLUTIONS, handed_out
from miniflow.lab.generate import cells_of
from miniflow.lab.notebooks import notebook

pytestmark = pytest.mark.filterwarnings("ignore")  # those of Jupyter are not ours

SECONDS = 120  # for one cell, on a slow machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("solved lab")
    for name, data in handed_out().items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(data)
    for path in SOLUTIONS.glob("*.py"):
        (made / path.name).write_bytes(path.read_bytes())
    return made


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.exercise)
def test_solved_notebook_runs_from_top_to_bottom(
    chapter: Chapter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipykernel", reason="ipykernel is in the dev extra")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in the dev extra")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is in the dev extra")
    import miniflow

    monkeypatch.setenv("PYTHONPATH", str(Path(miniflow.__file__).parent.parent))
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    text = notebook(cells_of(chapter), chapter.source)
    document = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(
        document, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}
    ).execute()
    (graded,) = [cell for cell in document.cells if cell.id.startswith("check-")]
    shown, points = graded.outputs
    assert shown["data"]["text/plain"].startswith("✓")
    assert "mf-lab" in shown["data"]["text/html"]
    assert float(points["data"]["text/plain"]) == graded.metadata["nbgrader"]["points"]
