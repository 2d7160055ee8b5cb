"""Kill a training at random moments, resume it until it is finished, and compare the bits.

    python tests/faults/kill_and_resume.py --kills 200 --seed 0

A child process trains, with a checkpoint after each epoch, and is killed with SIGKILL, which no
program can catch. The kills are of three kinds (`KINDS`): at any time; when a checkpoint is being
written, which takes so little of a training that other kills would hardly ever meet it; and right
before one of the system's calls that write it, the two renames among them. The next child goes on
from what is left, until one gets to the end. What that one ends with, its parameters and its last
checkpoint, must be that of a training that nobody disturbed, bit by bit.

The child says what it is doing in a byte of shared memory, which outlives it: so it is known in
which phase each kill fell. The half-written file that a kill leaves is evidence, too.
"""

import argparse
import itertools
import mmap
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

if __name__ == "__main__":
    ROOT = pathlib.Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import numpy as np
from blobs import Problem, problem

import miniflow as mf
from miniflow import training
from miniflow.datasets import Dataset
from miniflow.files.arrays import read_arrays, sealed
from miniflow.optimizers import SGD, Adam, AdamW, RMSprop
from miniflow.schedules import CosineDecay, OneCycle
from miniflow.training import Training, checkpoints, fit
from miniflow.training.callbacks import Callback, EarlyStopping, KeepBest
from miniflow.training.checkpoints import CheckpointWarning

EPOCHS = 6
STEPS = EPOCHS * 12  # updates in all
FINISHED = 0


def with_dropout() -> Problem:
    """The problem, with a Dropout before its last layer."""
    p = problem()
    logits, labels = p.loss.inbound_nodes
    hidden, W, b = logits.inbound_nodes
    holes = mf.Dropout(hidden, mf.Seed("seed"), rate=0.3)
    return p._replace(loss=mf.CrossEntropyWithSoftmax(mf.Linear(holes, W, b), labels))


def with_augmentation() -> Problem:
    """Small pictures, shifted, turned and scaled as they are trained on, and a Dropout."""
    rng = np.random.default_rng(3)
    images, labels = rng.uniform(size=(120, 8, 8)).astype("f4"), rng.integers(0, 3, 120)
    images[np.arange(120), labels * 2 + 1] = 1.0  # a bright row for each class
    data = Dataset(images[:90].reshape(90, 64), labels[:90])
    X, y = mf.Input("X"), mf.Input("y")
    W, b = mf.Parameter(np.zeros((64, 3), "f4"), "W"), mf.Parameter(np.zeros(3, "f4"), "b")
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(mf.Dropout(X, mf.Seed("seed"), rate=0.2), W, b), y)
    varied: Any = mf.augmented(data, image_shape=(8, 8))
    return Problem(X, y, [W, b], loss, varied, Dataset(images[90:].reshape(30, 64), labels[90:]))


class Setting(NamedTuple):
    """What is trained, and how; all parts are made anew in each child."""

    optimizer: Callable[[], Any]
    backend: str
    callbacks: Callable[[], list[Callback]] = list
    build: Callable[[], Problem] = problem


# What callbacks remember matters: with OneCycle(1.0) the first epoch is the best, and RMSprop(0.2)
# is best after the second and is stopped after the fourth.
SETTINGS = {
    "momentum, cosine": Setting(
        lambda: SGD(CosineDecay(0.1, STEPS, warmup=7), momentum=0.9), "numpy"
    ),
    "Adam, interpreted": Setting(lambda: Adam(0.02), "interpreter"),
    "AdamW, one cycle, best": Setting(
        lambda: AdamW(OneCycle(1.0, STEPS)), "numpy", lambda: [KeepBest("validation_loss")]
    ),
    "RMSprop, early stopping": Setting(
        lambda: RMSprop(0.2), "numpy", lambda: [EarlyStopping("validation_loss", patience=2)]
    ),
    "momentum, dropout": Setting(
        lambda: SGD(CosineDecay(0.1, STEPS), momentum=0.9), "numpy", build=with_dropout
    ),
    "Adam, dropout, augmentation": Setting(lambda: Adam(0.01), "numpy", build=with_augmentation),
}

# What the child is doing. The parent reads it after the kill.
STARTING, STEPPING, BETWEEN, WRITING, ENDED = range(5)
PHASES = {
    STARTING: "before the first update",
    STEPPING: "within an update",
    BETWEEN: "between updates, or in a validation",
    WRITING: "within the writing of a checkpoint",
    ENDED: "after the last epoch",
}


class Shared:
    """Two numbers that parent and child both see: the phase, and how many checkpoints are begun."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 2)

    @property
    def phase(self) -> int:
        return self._memory[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._memory[0] = phase

    @property
    def begun(self) -> int:
        return self._memory[1]

    @begun.setter
    def begun(self, begun: int) -> None:
        self._memory[1] = begun


class Watch(Callback):
    """Has every update say that it is under way."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def on_train_begin(self, training: Training) -> None:
        training.step = Watched(training.step, self._shared)  # type: ignore[assignment]


class Watched:
    """A step that says when it is under way."""

    def __init__(self, step: Any, shared: Shared) -> None:
        self._step = step
        self._shared = shared

    def __call__(self, feed: Any) -> Any:
        self._shared.phase = STEPPING
        result = self._step(feed)
        self._shared.phase = BETWEEN
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


def train(setting: Setting, path: pathlib.Path, watch: list[Callback] | None = None) -> Problem:
    """The training to its end, on from the checkpoint if there is one."""
    p = setting.build()
    fit(
        p.loss,
        p.data,
        setting.optimizer(),
        epochs=EPOCHS,
        batch_size=8,
        validation=p.validation,
        callbacks=[*setting.callbacks(), *(watch or [])],
        rng=11,
        checkpoint=path,
        resume=True,
        progress="none",
        backend=setting.backend,
    )
    return p


def outcome(p: Problem, path: pathlib.Path) -> tuple[bytes, bytes]:
    """All bits that a training ends with, except how long it took."""
    arrays, about = read_arrays(path, "checkpoint")
    for row in about["history"]:
        row[5] = 0.0
    return p.bytes(), sealed(arrays, about)


def die_before_call(number: int) -> None:
    """Have this process killed right before so manieth of the calls that write a checkpoint."""
    calls = itertools.count(1)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def first_look(*given: Any, **options: Any) -> Any:
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **options)

        return first_look

    for name in ("fsync", "chmod", "replace", "unlink"):
        setattr(os, name, dying(getattr(os, name)))


def child(setting: Setting, path: pathlib.Path, shared: Shared) -> None:
    """Train, saying what is done; the process ends here."""
    save = checkpoints.save_checkpoint

    def watched(*given: Any) -> None:
        shared.begun += 1
        shared.phase = WRITING
        save(*given)
        shared.phase = BETWEEN

    training.save_checkpoint = watched  # type: ignore[attr-defined]
    code = 1
    try:
        train(setting, path, [Watch(shared)])
        shared.phase = ENDED
        code = FINISHED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


AT_ANY_TIME, IN_WRITING, BEFORE_A_CALL = KINDS = ("at any time", "in writing", "before a call")


class Kill(NamedTuple):
    """Of which kind a kill was, where it fell, and what it left."""

    kind: str
    phase: int
    had_checkpoint: bool
    half_written: bool
    between_renames: bool


def run_and_kill(
    setting: Setting, path: pathlib.Path, draw: random.Random, seconds: float
) -> Kill | None:
    """One child, killed at a random moment; None if it was finished before that came.

    seconds: how long an undisturbed training takes, about.
    """
    shared, existed = Shared(), path.exists()
    kind = draw.choices(KINDS, (3, 1, 1))[0]
    checkpoint, call = draw.randrange(1, 4), draw.randrange(1, 20)
    wait = draw.uniform(0, 1.2 * seconds if kind == AT_ANY_TIME else 0.004)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside BLAS's threads: they
        pid = os.fork()  # are asleep, and hold no lock
    if pid == 0:
        if kind == BEFORE_A_CALL:
            die_before_call(call)
        child(setting, path, shared)
    ended = 0
    while not ended and kind == IN_WRITING and shared.begun < checkpoint:
        ended, status = os.waitpid(pid, os.WNOHANG)
    until = time.perf_counter() + wait
    while not ended and (kind == BEFORE_A_CALL or time.perf_counter() < until):
        ended, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.0001)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == FINISHED, "the child failed: see what it printed"
        return None
    left = [entry.name for entry in path.parent.iterdir()]
    previous = checkpoints.previous_path(path).exists()
    return Kill(
        kind=kind,
        phase=shared.phase,
        had_checkpoint=existed or path.exists() or previous,
        half_written=any(name.endswith(".part") for name in left),
        between_renames=previous and not path.exists(),
    )


class Tally(NamedTuple):
    """What the kills hit, and how many trainings were brought to their end."""

    kills: list[Kill]
    finished: int

    def text(self) -> str:
        phases = Counter(PHASES[kill.phase] for kill in self.kills)
        kinds = Counter(kill.kind for kill in self.kills)
        lines = [f"{len(self.kills)} kills, {self.finished} trainings finished to the same bits"]
        lines += [f"{kinds[kind]:5}  of the kind: {kind}" for kind in KINDS]
        lines += [f"{phases[phase]:5}  {phase}" for phase in PHASES.values()]
        lines += [
            f"{sum(not kill.had_checkpoint for kill in self.kills):5}  before the first checkpoint",
            f"{sum(kill.half_written for kill in self.kills):5}  left a half-written file",
            f"{sum(kill.between_renames for kill in self.kills):5}  left only the previous one",
        ]
        return "\n".join(lines)


def kill_and_resume(kills: int, seed: int, say: Callable[[str], object] = lambda _: None) -> Tally:
    """Disturb trainings, setting after setting, until so many kills were made. Each setting gets
    its share of them, however few they are.

    Raises AssertionError if one ends with other bits than its undisturbed twin.
    """
    draw, tally = random.Random(seed), Tally([], 0)
    share = min(8, -(-kills // len(SETTINGS)))  # the most that one training suffers
    expected: dict[str, tuple[tuple[bytes, bytes], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        while len(tally.kills) < kills:
            name = list(SETTINGS)[(seed + tally.finished) % len(SETTINGS)]
            setting = SETTINGS[name]
            place = pathlib.Path(folder, f"{tally.finished}")
            place.mkdir()
            if name not in expected:
                path = pathlib.Path(folder, f"undisturbed {len(expected)}")
                train(setting, pathlib.Path(folder, f"warm-up {len(expected)}"))
                started = time.perf_counter()
                p = train(setting, path)
                expected[name] = outcome(p, path), time.perf_counter() - started
            path = place / "checkpoint.safetensors"
            before = len(tally.kills)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CheckpointWarning)
                most = draw.randint(1, share)  # then nobody disturbs it any more
                while len(tally.kills) - before < most and len(tally.kills) < kills:
                    kill = run_and_kill(setting, path, draw, expected[name][1])
                    if kill is None:
                        break
                    tally.kills.append(kill)
                p = train(setting, path)
            assert outcome(p, path) == expected[name][0], f"{name}: other bits; seed {seed}"
            leftovers = [entry for entry in place.iterdir() if entry.name.endswith(".part")]
            assert not leftovers, f"{name}: {leftovers} are left; seed {seed}"
            tally = tally._replace(finished=tally.finished + 1)
            say(f"{len(tally.kills)} kills: {name} finished to the same bits")
    return tally


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    print(kill_and_resume(given.kills, given.seed, print).text())


if __name__ == "__main__":
    main()
