"""The lab's own cells (`lab_cells.py`) run and hold, and its training loop learns.

IPython runs the cells, too, with the lab's `%autoreload 2`, and picks up a learner's edit of their
own module between two cells.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import activations, elementwise, layers, losses, printed
from lab_cells import (
    ARCHITECTURE,
    AUTORELOAD,
    BATCH,
    BY_HAND,
    CROSS_ENTROPY,
    FRUIT,
    GRADIENT_BY_HAND,
    LINEAR,
    LOAD,
    LOOP,
    MUL,
    SIGMOID,
    SPLITS,
    SUMS,
    WEIGHTS,
    filled_in,
)

import miniflow as mf
from miniflow.compiler.threads import one_thread_if_small

EXERCISES = {"Mul": MUL, "Linear": LINEAR, "Sigmoid": SIGMOID, "cross entropy": CROSS_ENTROPY}
NODES = [MUL, LINEAR, SIGMOID, SUMS, FRUIT, CROSS_ENTROPY]


def by_a_learner() -> dict[str, Any]:
    """The names of the exercises as someone has solved them, in the lab's raw style."""
    return {
        "Input": printed.Input,
        "Add": printed.Add,
        "Mul": elementwise.Mul,
        "Linear": layers.LinearKeepdims,
        "Sigmoid": activations.Sigmoid,
        "CrossEntropyWithSoftmax": losses.CrossEntropyWithSoftmax,
    }


def star_import() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec("from miniflow import *", namespace)
    return namespace


def run(*cells: str, given: dict[str, Any]) -> dict[str, Any]:
    for cell in cells:
        exec(compile(cell, "<cell>", "exec"), given)
    return given


def test_first_cells_compute_the_gradient_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    run(BY_HAND, GRADIENT_BY_HAND, given={})
    assert capsys.readouterr().out == "[-1.0, 3.0, 3.0]\n"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_exercise_holds_with_the_built_in_nodes(exercise: str) -> None:
    run(EXERCISES[exercise], given=star_import())


@pytest.mark.parametrize("exercise", EXERCISES)
def test_exercise_holds_with_a_learners_nodes(exercise: str) -> None:
    run(EXERCISES[exercise], given=star_import() | by_a_learner())


@pytest.mark.parametrize("learner", [False, True], ids=["built in", "a learner's"])
def test_all_cells_run_one_after_the_other_in_one_namespace(learner: bool) -> None:
    given = star_import() | (by_a_learner() if learner else {})
    run(BY_HAND, GRADIENT_BY_HAND, given=given)
    run(*NODES, given=given)


def test_mistake_in_a_learners_node_fails_its_exercise() -> None:
    class Mul(elementwise.Mul):
        def backward(self) -> None:
            elementwise.Mul.backward(self)
            self.gradients[self.inbound_nodes[0]] *= 2

    with pytest.raises(AssertionError):
        run(MUL, given=star_import() | {"Mul": Mul})


@pytest.mark.breadth("learner")
@pytest.mark.parametrize("learner", [False, True], ids=["built in", "a learner's"])
def test_training_loop_of_one_layer_reaches_90_percent(
    learner: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # there is no MNIST_data/ here
    given = star_import() | (by_a_learner() if learner else {})
    with one_thread_if_small(2 * 128 * 784 * 10):  # other tests may be running beside this one
        run(LOAD, BATCH, SPLITS, ARCHITECTURE, WEIGHTS, filled_in(LOOP), given=given)
    assert given["acc"] > 0.90
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "(128, 784) (128,)"
    assert told[1] == "Iteration 0"
    assert told[-1] == f"Testing Accuracy = {given['acc']}"


def test_weights_that_the_loop_updates_in_place_may_be_parameters() -> None:
    X, y, W = mf.Input(), mf.Input(), mf.Parameter(np.zeros((2, 2)))
    f = mf.CrossEntropyWithSoftmax(X @ W, y)
    feed = {X: np.eye(2), y: np.array([0, 1], np.int8)}
    losses_seen = []
    for _ in range(3):
        loss, [dW] = mf.value_and_grad(f, feed, [W])
        W.value[:] -= 1.0 * dW
        losses_seen.append(float(loss))
    assert losses_seen[0] == pytest.approx(np.log(2))
    assert losses_seen == sorted(losses_seen, reverse=True)


# --- In IPython

RUN_CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell()
for cell in json.load(sys.stdin):
    shell.run_cell(cell).raise_error()
"""


def run_in_ipython(cells: list[str], folder: Path) -> str:
    pytest.importorskip("IPython", reason="IPython is in the dev extra")
    ended = subprocess.run(
        [sys.executable, "-c", RUN_CELLS],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
            "IPYTHONDIR": str(folder / "ipython"),
        },
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_all_cells_run_in_ipython(tmp_path: Path) -> None:
    told = run_in_ipython([BY_HAND, GRADIENT_BY_HAND, AUTORELOAD, *NODES, LOAD, BATCH], tmp_path)
    assert "[-1.0, 3.0, 3.0]" in told
    assert "(128, 784) (128,)" in told


MY_NODES = """
from miniflow import Node

class Mul(Node):
    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        self.value = self.inbound_nodes[0].value * self.inbound_nodes[1].value

    def backward(self):
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            grad = n.gradients[self]
            self.gradients[self.inbound_nodes[0]] += GRADIENT_OF_X
            self.gradients[self.inbound_nodes[1]] += self.inbound_nodes[0].value * grad
"""

EDIT = """
import os, pathlib, time
path = pathlib.Path("my_nodes.py")
path.write_text(path.read_text().replace("+= grad * 0", "+= self.inbound_nodes[1].value * grad"))
os.utime(path, (time.time() + 10, time.time() + 10))  # coarse clocks: later than the first one
"""


def test_autoreload_picks_up_a_learners_edit_between_two_cells(tmp_path: Path) -> None:
    (tmp_path / "my_nodes.py").write_text(MY_NODES.replace("GRADIENT_OF_X", "grad * 0"))
    told = run_in_ipython(
        [
            AUTORELOAD,
            "from my_nodes import *\n"
            "a, b = Input(), Input()\n"
            "built_before = Mul(a, b)\n"
            "print('before', value_and_grad(built_before, {a: 3.0, b: 4.0}, [a, b]))",
            EDIT,
            "print('after', value_and_grad(built_before, {a: 3.0, b: 4.0}, [a, b]))",
            MUL,
            "mixed = Mul(built_before, built_before) + Mul(a, a)\n"
            "print('mixed', value_and_grad(mixed, {a: 3.0, b: 4.0}, [a, b]))",
        ],
        tmp_path,
    )
    assert told.splitlines() == [
        "before (12.0, [0.0, 3.0])",
        "after (12.0, [4.0, 3.0])",
        "mixed (153.0, [102.0, 72.0])",
    ]
