"""A model that was read from a file: copies, pickles, and children of the process that read it."""

import copy
import pathlib
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from forked import in_a_child, needs_fork

import miniflow as mf

ROWS = np.array([[1.0, -2.0], [0.5, 3.0]])


@pytest.fixture
def model(tmp_path: pathlib.Path) -> mf.Model:
    X, W = mf.Input("X"), mf.Parameter(np.array([[1.0, 2.0], [3.0, 4.0]]), "W")
    mf.save(mf.Tanh(X @ W), tmp_path / "m", inputs={X: ROWS[:1]}, notes={"class_names": ["a", "b"]})
    read = mf.load(tmp_path / "m", backend="numpy")
    read(ROWS)  # there is something compiled, that cannot be copied
    return read


@pytest.mark.parametrize(
    "twin_of",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_of_a_model_computes_the_same(model: mf.Model, twin_of: Callable[..., Any]) -> None:
    twin = twin_of(model)
    assert np.array_equal(twin(ROWS), model(ROWS))
    assert str(twin.program) == str(model.program)
    assert str(twin.backward_program) == str(model.backward_program)
    assert (twin.notes, repr(twin)) == (model.notes, repr(model))
    assert not any(constant.value.flags.writeable for constant in twin.program.constants)


@needs_fork
def test_a_child_forked_while_another_thread_uses_a_model_can_use_it(model: mf.Model) -> None:
    inside, leave = threading.Event(), threading.Event()
    expected = model(ROWS)

    def use() -> None:
        with model._lock:  # as in the middle of a call
            inside.set()
            leave.wait()

    thread = threading.Thread(target=use)
    thread.start()
    inside.wait()
    is_the_same = in_a_child(lambda: np.array_equal(model(ROWS), expected))
    leave.set()
    thread.join()
    assert is_the_same
