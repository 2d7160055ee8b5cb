"""Every notebook, in a folder where everything is solved, runs from top to bottom.

One kernel runs them all, since starting one takes longer than most notebooks. Before each it
forgets what the last one named and imported, so that each stands by itself.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import miniflow
from miniflow.lab.exercises import CHAPTERS, Chapter
from miniflow.lab.folder import SOLUTIONS, handed_out
from miniflow.lab.generate import cells_of
from miniflow.lab.notebooks import notebook

pytestmark = pytest.mark.filterwarnings("ignore")  # those of Jupyter are not ours

SECONDS = 120  # for one cell, on a slow machine
QUICK = {"mul", "cross_entropy"}

# Leaves what a kernel that has just started knows: no names, nothing of miniflow's or the folder's
# imported, no extension loaded.
FORGET = """
def forget():
    import os
    import sys

    shell = get_ipython()
    autoreload = shell.magics_manager.magics["line"].pop("autoreload", None)
    if autoreload is not None:  # it has no way to unload itself
        autoreload("off")
        shell.extension_manager.loaded.discard("IPython.extensions.autoreload")
    shell.set_custom_exc((), None)
    shell.reset()
    for name, module in list(sys.modules.items()):
        folder = os.path.dirname(getattr(module, "__file__", None) or "")
        if name.partition(".")[0] == "miniflow" or folder == os.getcwd():
            del sys.modules[name]
    sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, "__module__", "") != "miniflow"]

forget()
"""

Run = Callable[[Any], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("solved lab")
    for name, data in handed_out().items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(data)
    for path in SOLUTIONS.glob("*.py"):
        (made / path.name).write_bytes(path.read_bytes())
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    """Run a notebook in the kernel, which knows nothing of those before."""
    pytest.importorskip("ipykernel", reason="ipykernel is in the dev extra")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in the dev extra")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is in the dev extra")
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )

    def run_after_reset(document: Any) -> None:
        forget = nbformat.v4.new_code_cell(FORGET)
        for client.nb in (nbformat.v4.new_notebook(cells=[forget]), document):
            client.execute(cleanup_kc=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(miniflow.__file__).parent.parent))
        patch.setenv("IPYTHONDIR", str(folder / ".ipython"))
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        with client.setup_kernel():
            yield run_after_reset


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(
            chapter,
            id=chapter.exercise,
            marks=[] if chapter.exercise in QUICK else [pytest.mark.slow],
        )
        for chapter in CHAPTERS
    ],
)
def test_solved_notebook_runs_from_top_to_bottom(chapter: Chapter, run: Run) -> None:
    nbformat = pytest.importorskip("nbformat")
    document = nbformat.reads(notebook(cells_of(chapter), chapter.source), as_version=4)
    run(document)
    (graded,) = [cell for cell in document.cells if cell.id.startswith("check-")]
    shown, points = graded.outputs
    assert shown["data"]["text/plain"].startswith("✓")
    assert "mf-lab" in shown["data"]["text/html"]
    assert float(points["data"]["text/plain"]) == graded.metadata["nbgrader"]["points"]


def test_nodes_of_a_notebook_are_named_by_cell_and_line(run: Run) -> None:
    from nbformat.v4 import new_code_cell, new_notebook

    code = "import miniflow as mf\n\nx = mf.Input('x')\nprint(mf.check_gradients(x * x, {x: 3.0}))"
    document = new_notebook(cells=[new_code_cell("1"), new_code_cell(code)])
    run(document)
    told = document.cells[1].outputs[0]["text"]
    number = document.cells[1].execution_count
    assert told.startswith(f"Mul (cell {number}, line 4): the gradient")
    assert "is 6 by backward()" in told


@pytest.mark.slow
def test_a_notebook_knows_nothing_of_the_one_before(run: Run) -> None:
    from nbformat.v4 import new_code_cell, new_notebook

    first = [
        "%load_ext autoreload\n%autoreload 2",
        "import sys, miniflow, mul\nfrom miniflow.lab import check\nx = miniflow.left = 1",
    ]
    then = [
        "sorted(name for name in globals() if not name.startswith('_'))",
        "import sys\n[name for name in sys.modules if name.split('.')[0] in ('miniflow', 'mul')]",
        "import miniflow\nhasattr(miniflow, 'left')",
        "get_ipython().custom_exceptions, get_ipython().find_line_magic('autoreload')",
    ]
    run(new_notebook(cells=[new_code_cell(code) for code in first]))
    document = new_notebook(cells=[new_code_cell(code) for code in then])
    run(document)
    told = [cell.outputs[0]["data"]["text/plain"] for cell in document.cells]
    names = "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"
    assert told == [names, "[]", "False", "((), None)"]
