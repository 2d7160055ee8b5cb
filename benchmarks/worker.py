"""The process of one contender: builds its runner, then answers the harness, a line at a time.

    worker.py CONTENDER RACE FOLDER [--quick]       commands on stdin, answers on stdout, as JSON
    worker.py CONTENDER RACE FOLDER --cold          one whole training, then the answer

Commands are "prepare" (build, take the steps that are checked, and say what came out) and
"round N" (take the steps of that round, and say how long a step took). Between commands the
process waits in `readline`; how much processor time it nevertheless used is part of each answer,
for a pool of threads that spins on would slow the others down.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if os.environ.get("PIN_TO_A_CORE"):  # before any framework looks at how many cores there are
    os.sched_setaffinity(0, {int(os.environ["PIN_TO_A_CORE"])})

import numpy as np
import races
from contenders import CONTENDERS, Contender, Runner, pieces_of
from races import Array, Data, Race

WARM_UP = 0.1  # the share of a round that is run before the clock starts


def main(arguments: list[str]) -> None:
    """Serve one contender in one race."""
    index, name, folder, *options = arguments
    contender, race = CONTENDERS[int(index)], races.find(name)[0]
    # Frameworks print what they like; only the harness's own channel is left as standard output.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    answers = (
        [cold(contender, race, Path(folder))]
        if "--cold" in options
        else serve(contender, races.shortened(race) if "--quick" in options else race, Path(folder))
    )
    for answer in answers:
        print(json.dumps(answer), file=channel, flush=True)


def serve(contender: Contender, race: Race, folder: Path) -> Iterator[dict[str, Any]]:
    """Answer one command after the other until standard input ends."""
    runner: Runner | None = None
    work = np.zeros(0)
    idle_since = time.process_time()
    for line in sys.stdin:
        idle = time.process_time() - idle_since
        command, *rest = line.split()
        if command == "prepare":
            try:
                data = races.read(folder)
                work = races.work(race, len(data.images))
                runner = build(contender, race, data)
                yield {"numbers": checked(runner, race, work)}
            except Exception as error:
                yield {"unavailable": f"{type(error).__name__}: {error}"}
        elif runner is not None:
            pieces = timed(runner, race, work, int(rest[0]))
            yield {"pieces": pieces, "idle": idle, "memory": most_memory()}
        idle_since = time.process_time()


def most_memory() -> float:
    """How many bytes of memory this process has had at most; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def build(contender: Contender, race: Race, data: Data) -> Runner:
    """The contender's runner."""
    module = importlib.import_module(f"contenders.{contender.module}")
    runner: Runner = module.build(contender.variant, race, data)
    return runner


def checked(runner: Runner, race: Race, work: Array) -> list[float]:
    """Take the first steps and return numbers that tell whether the mathematics is the same.

    They are the last loss and, of each array of the answer, how far it is from where it began (the
    root mean square of the difference) and eight of its entries, as multiples of that distance.
    """
    numbers = [runner.run(work[: race.chunk])]
    answer = runner.answer()
    learning = ("train", "convolution", "sequence", "gpt", "gru", *races.PRACTICE)
    learns = race.kind in learning
    before = races.first_parameters(race) if learns else [np.zeros_like(a) for a in answer]
    rng = np.random.default_rng(races.SEED)
    for start, end in zip(before, answer, strict=bool(answer)):
        change = np.asarray(end, np.float64).ravel() - np.asarray(start, np.float64).ravel()
        distance = float(np.sqrt(np.mean(change**2))) or 1.0
        chosen = rng.integers(0, change.size, 8)
        numbers += [distance, *(change[chosen] / distance).tolist()]
    return numbers


def timed(runner: Runner, race: Race, work: Array, number: int) -> dict[str, float]:
    """Seconds a step in one round, by piece. The pool of work serves the rounds in turn."""
    first = race.chunk + number % 4 * race.steps
    rows = work[first : first + race.steps]
    whole_chunks = max(1, round(len(rows) * WARM_UP / race.chunk)) * race.chunk
    runner.run(rows[:whole_chunks])
    start = time.perf_counter()
    runner.run(rows)
    seconds = (time.perf_counter() - start) / len(rows)
    return pieces_of(runner, seconds)


def cold(contender: Contender, race: Race, folder: Path) -> dict[str, Any]:
    """Train from nothing, and measure the accuracy on the test set.

    Each process reads and decompresses the data files itself. An epoch is handed over at a time:
    frameworks that can take many steps in one call may do so.
    """
    from mnist_files import read_mnist

    try:
        data = read_mnist(folder)
        work = races.work(race, len(data.images))
        runner = build(contender, race, data)
        for rows in np.array_split(work, race.epochs):
            runner.run(rows)
        hits = np.argmax(races.logits(race, runner.answer(), data.test_images), axis=1)
        return {"numbers": [float(np.mean(hits == data.test_labels))]}
    except Exception as error:
        return {"unavailable": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1:])
