"""The checks run where Python has no threads, no processes, no ctypes and no llvmlite, as in a
browser (Pyodide, JupyterLite). A child process in which all these are taken away shows it.
"""

import os
import subprocess
import sys
from pathlib import Path

import miniflow
from miniflow.lab.exercises import COURSE

TAKEN_AWAY = """
import os, sys, threading, _thread

sys.platform = "emscripten"  # what Pyodide says, where subprocess refuses to start anything
GONE = ("ctypes", "_ctypes", "llvmlite", "multiprocessing", "_multiprocessing")

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        gone = name.partition(".")[0] in GONE
        return None if gone else self.finder.find_spec(name, path, target)

def refuse(*arguments, **options):
    raise RuntimeError("can't start new thread")

for name in list(sys.modules):
    if name.partition(".")[0] in GONE:
        del sys.modules[name]
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
_thread.start_new_thread = threading._start_new_thread = refuse
for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system"):
    if hasattr(os, name):
        delattr(os, name)
"""
CHECKS = """
import shutil
from dataclasses import replace
from pathlib import Path
import numpy as np
import miniflow as mf
from miniflow.lab import check
from miniflow.lab.exercises import COURSE, exercise
from miniflow.lab.folder import HANDOUT, SOLUTIONS
from miniflow.lab.inside import check_inside

for name in COURSE:
    shutil.copy(SOLUTIONS / f"{name}.py", ".")
for name in COURSE:
    whole = exercise(name)  # without MNIST, which takes its time
    parts = [part for part in whole.parts if "MNIST" not in part.text]
    report = check_inside(replace(whole, parts=parts), Path.cwd(), 1)
    print(name, "passed" if report.passed else report)

Path("sigmoid.py").write_bytes((HANDOUT / "sigmoid.py").read_bytes())
print("in a cell:", check("mul").passed, check("sigmoid").passed)

X, y = mf.Input("X"), mf.Input("y")
W = mf.Parameter(np.zeros((4, 3)), "W")
loss = mf.CrossEntropyWithSoftmax(X @ W, y)
features = np.random.default_rng(0).normal(size=(60, 4))
data = mf.datasets.Dataset(features, np.argmax(features[:, :3], axis=1))
mf.fit(loss, data, mf.SGD(0.5), epochs=30, batch_size=20)
share = mf.accuracy(loss, {X: data.images, y: data.labels})
print("trained:", share > 0.8)
"""


def test_checks_and_library_run_without_threads_processes_ctypes_and_llvmlite(
    tmp_path: Path,
) -> None:
    source = str(Path(miniflow.__file__).parent.parent)
    told = subprocess.run(
        [sys.executable, "-c", TAKEN_AWAY + CHECKS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": source, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    said = told.stdout.splitlines()
    assert said[: len(COURSE)] == [f"{name} passed" for name in COURSE]
    assert said[len(COURSE)] == "in a cell: True False"
    assert said[-1] == "trained: True"
