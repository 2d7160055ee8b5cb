"""A program that was compiled before is not lowered again, and does the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends.native import kept, layout, lower, machine
from miniflow.errors import NotFiniteError
from miniflow.ir import Builder, ValueType
from miniflow.passes import FOR_LOOPS, optimize

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(kept, "is_on", True)
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path))
    forget(monkeypatch)
    return tmp_path / "native"


def forget(monkeypatch):
    """As in another process: no machine code is there yet."""
    monkeypatch.setattr(machine, "_loaded", {})
    machine._load_once.cache_clear()


def network(dtype):
    """A training step, its parameters and a batch: products, nests, Adam, labels, a constant."""
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W = mf.Parameter(rng.normal(size=(20, 33)).astype(dtype), "W")
    V = mf.Parameter(rng.normal(size=(33, 3)).astype(dtype), "V")
    hidden = mf.Tanh(mf.MatMul(X, W) * rng.normal(size=33).astype(dtype))
    loss = mf.CrossEntropyWithSoftmax(mf.MatMul(mf.Dropout(hidden, mf.Seed(), rate=0.2), V), y)
    step = mf.compile(loss, optimizer=mf.Adam(0.01), backend="native")
    return step, [W, V], {X: rng.normal(size=(9, 20)).astype(dtype), y: rng.integers(0, 3, 9)}


def convolution(dtype):
    rng = np.random.default_rng(1)
    X = mf.Input("X")
    K = mf.Parameter(rng.normal(size=(3, 3, 1, 4)).astype(dtype), "K")
    loss = mf.Mean(mf.MaxPool(mf.ReLU(mf.Conv2D(X, K))) ** 2)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
    return step, [K], {X: rng.normal(size=(70, 12, 12, 1)).astype(dtype)}


def numbers(dtype):
    """A part of the work is Python's: the arithmetic of single numbers."""
    x, W = mf.Input("x"), mf.Parameter(np.arange(5, dtype=dtype), "W")
    loss = mf.Sum(W**2) * dtype(x_scale := 0.5) + x * x * 0.25
    step = mf.compile(loss, optimizer=mf.SGD(0.25), backend="native")
    return step, [W], {x: dtype(x_scale)}


def states(dtype):
    rng = np.random.default_rng(2)
    X, gain, shift = mf.Input("X"), mf.Parameter(np.ones(4, dtype)), mf.Parameter(np.ones(4, dtype))
    mean, variance = mf.State(np.zeros(4, dtype)), mf.State(np.ones(4, dtype))
    normal = mf.BatchNorm(X, gain, shift, mean, variance, mf.Seed())
    step = mf.compile(mf.Mean(normal**3), optimizer=mf.SGD(0.1), backend="native")
    return step, [gain, shift, mean, variance], {X: rng.normal(size=(16, 4)).astype(dtype)}


GRAPHS = (network, convolution, numbers, states)


def results(make, dtype):
    """What three steps of a graph give, and whether its program was lowered."""
    step, arrays, feed = make(dtype)
    losses = [step(feed) for _ in range(3)]
    executable = step._last.executable
    was_lowered = executable._made is not None
    found = [*losses, *(a.value.copy() for a in arrays)]
    return [np.asarray(a).tobytes() for a in found], was_lowered, step


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.breadth("dtype")
def test_a_kept_program_does_the_same(make, dtype):
    first, was_lowered, step = results(make, dtype)
    again, is_lowered, other = results(make, dtype)
    assert (was_lowered, is_lowered) == (True, False)
    assert again == first
    one, two = step._last.executable, other._last.executable
    assert two.is_one_call == one.is_one_call
    assert len(two.groups) == len(one.groups) > 0
    assert two.buffers.sizes == one.buffers.sizes
    assert other.source == step.source


def test_a_kept_program_runs_an_epoch_and_in_parts():
    def losses():
        step, _, feed = network(np.float32)
        step(feed)
        data = {n: np.concatenate([x, x]) for n, x in feed.items()}
        rows = np.random.default_rng(3).integers(0, 18, (5, 9))
        epoch = step.epoch(data, rows)
        lowered.append(step._last.executable._made is not None)
        assert step.profile(feed, runs=1).seconds > 0
        feed[next(iter(feed))][:] = np.inf
        with pytest.raises(NotFiniteError) as error:
            step.epoch(feed, [[*range(9)]])
        return epoch.tobytes(), str(error.value)

    lowered: list[bool] = []
    assert losses() == losses()
    assert lowered == [True, False]


def test_what_goes_wrong_is_said_in_the_same_words():
    def words(bad):
        step, arrays, feed = network(np.float32)
        step(feed)
        before = [a.value.copy() for a in arrays]
        X, *_ = feed
        feed[X][3, 2] = bad
        with pytest.raises(NotFiniteError) as error:
            step(feed)
        assert all(np.array_equal(a.value, b) for a, b in zip(arrays, before, strict=True))
        return str(error.value)

    assert words(np.inf) == words(np.inf)
    assert words(np.nan) == words(np.nan)


def program(scale=2.0, name="x", count=5, constant=1.0):
    b = Builder()
    x = b.input(ValueType("f32", (count,)), name=name)
    c = b.constant(np.arange(3, 3 + count, dtype=np.float32) * np.float32(constant))
    found = b.add("add", (b.add("multiply", (b.add("exp", (x,)), np.float32(scale))), c))
    return optimize(b.program([found]), FOR_LOOPS)


def is_lowered(program):
    return lower(program)._made is not None


def test_an_index_that_is_out_of_range_is_named_by_a_kept_program():
    b = Builder()
    x, rows = b.input(ValueType("f32", (5, 2))), b.input(ValueType("i64", (3,)))
    picked = optimize(b.program([b.add("gather", (x, rows), {"axes": (0,)})]), FOR_LOOPS)
    said = []
    for _ in range(2):
        step = lower(picked)
        with pytest.raises(IndexError) as error:
            step.run([np.zeros((5, 2), np.float32), np.array([0, 7, 1])])
        said.append(str(error.value))
    assert said[0] == said[1]
    (found,) = step.run([np.ones((5, 2), np.float32), np.array([0, 4, 1])])
    assert found.shape == (3, 2)


def test_another_program_is_another_entry():
    asked = [{}, {"scale": -2.0}, {"name": "y"}, {"count": 6}, {"constant": -1.0}]
    assert [is_lowered(program(**options)) for options in asked] == [True] * len(asked)
    assert not any(is_lowered(program(**options)) for options in asked)
    assert kept.key_of(program(scale=0.0)) != kept.key_of(program(scale=-0.0))


def test_another_processor_and_another_miniflow_are_another_entry(monkeypatch):
    before = kept.key_of(program())
    assert kept.key_of(program()) == before
    with monkeypatch.context() as patched:
        patched.setattr(machine._machine(), "fingerprint", b"another processor")
        assert kept.key_of(program()) != before
    files = kept._sources()
    changed = (*files[:-1], (*files[-1][:2], files[-1][2] + 1))
    with monkeypatch.context() as patched:
        patched.setattr(kept, "_sources", lambda: changed)
        assert kept.key_of(program()) != before
        patched.setattr(kept, "_sources", lambda: None)  # as in an archive
        assert kept.key_of(program()) is None
        assert is_lowered(program())
    assert {os.path.basename(name) for name, *_ in files[1:]} > {
        "lower.py",
        "layout.py",
        "dtypes.py",
    }


def damaged(entry, how):
    data = entry.read_bytes()
    if how == "gone":
        entry.unlink()
    else:
        entry.write_bytes({"cut": data[:-9], "empty": b"", "zeros": bytes(len(data))}[how])


@pytest.mark.parametrize("how", ["gone", "cut", "empty", "zeros"])
@pytest.mark.parametrize("which", ["p", "k"])
@pytest.mark.breadth("how")
def test_what_is_damaged_or_gone_is_made_anew(folder, monkeypatch, which, how):
    is_lowered(program())
    for entry in folder.iterdir():
        if entry.name[0] == which:
            damaged(entry, how)
    forget(monkeypatch)
    step = lower(program())
    assert step._made is not None
    (y,) = step.run([np.zeros(5, np.float32)])
    assert y.tolist() == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert not is_lowered(program())


def test_what_others_may_write_to_is_not_used(folder):
    is_lowered(program())
    entry = next(e for e in folder.iterdir() if e.name[0] == "p")
    if os.name == "posix":
        entry.chmod(0o666)
        assert is_lowered(program())


def test_large_constants_are_not_kept(monkeypatch):
    monkeypatch.setattr(kept, "LARGEST", 10)
    assert [is_lowered(program()) for _ in range(2)] == [True, True]
    monkeypatch.undo()
    assert layout.LARGEST == kept.LARGEST == 2**20


CHILD = """
import sys
import numpy as np
import miniflow as mf

X, W = mf.Input("X"), mf.Parameter(np.full((8, 3), 0.5, np.float32), "W")
step = mf.compile(mf.Mean(mf.Tanh(X @ W)), optimizer=mf.SGD(0.1), backend="native")
print(float(step({X: np.ones((4, 8), np.float32)})), W.value.tobytes().hex())
print(*sorted(name for name in sys.modules if name.startswith("miniflow.")))
"""


def test_another_process_imports_nothing_that_lowers(folder):
    said = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines())
    assert said[0][0] == said[1][0]
    assert "miniflow.lowering.lower" in said[0][1].split()
    loaded = said[1][1].split()
    lowering = [name for name in loaded if name.startswith("miniflow.lowering.")]
    assert lowering == ["miniflow.lowering.views"]
    native = {name.split(".")[3] for name in loaded if name.startswith("miniflow.backends.native.")}
    assert native.isdisjoint({"lowered", "run", "table", "frame", "products", "print_llvm"})
