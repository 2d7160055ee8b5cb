"""Fuzzing: files and command lines that are nearly right, by the thousand.

    python tests/faults/fuzz.py --inputs 100000 --seed 0
    python tests/faults/fuzz.py --seed 0 --replay 4711       (one input again, with its traceback)

Each input is made from the seed and its number alone (`mutations`), used as a person would use it
(`targets`), and watched (`guard`). It ends with success or with a declared error, `MiniflowError`
or `OSError`. Anything else is a defect: another exception, a warning nobody declared, a crash, more
than `SECONDS`, more memory than `MOST_BYTES`, a message that could command a terminal, and whatever
the guard refuses: running code, starting a process, writing elsewhere.

The inputs are run in chunks, each by a process of its own, so that a crash ends a chunk and not the
fuzzing, and its input is known.
"""

import argparse
import collections
import contextlib
import gc
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import traceback
import unicodedata
import warnings
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("COLUMNS", "100")
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "cli"), str(ROOT / "src")]

CHUNK = 2500
SECONDS = 20.0
MOST_BYTES = 640 << 20  # more than before, at any moment; a picture of 50 million pixels comes near
RESERVED = 3 << 30  # address space; an allocation beyond it fails, even if it is never touched
MOST_LETTERS = 3000  # of a message


class Finding(NamedTuple):
    """An input that did what must not be."""

    number: int
    target: str
    what: str


class Outcome(NamedTuple):
    """What a number of inputs came to."""

    done: collections.Counter[str]  # "model refused" → how often
    peaks: dict[str, int]  # target → bytes
    findings: list[Finding]

    def add(self, other: "Outcome") -> None:
        """Count another's in."""
        self.done.update(other.done)
        for name, peak in other.peaks.items():
            self.peaks[name] = max(peak, self.peaks.get(name, 0))
        self.findings.extend(other.findings)

    def text(self) -> str:
        lines = [f"{sum(self.done.values()):,} inputs"]
        for name in sorted({key.split()[0] for key in self.done}):
            counts = {k.split()[1]: n for k, n in sorted(self.done.items()) if k.startswith(name)}
            told = ", ".join(f"{n:,} {what}" for what, n in counts.items())
            peak = f"{self.peaks[name] / 2**20:,.0f} MiB" if name in self.peaks else "not measured"
            lines.append(f"  {name:10} {told}; most memory: {peak}")
        found = {(f.target, f.what): f for f in reversed(self.findings)}
        lines.append(f"{len(self.findings)} findings, {len(found)} different ones")
        for finding in found.values():
            lines.append(f"  input {finding.number}, {finding.target}: {finding.what}")
        return "\n".join(lines)


class Fuzzer:
    """Runs inputs by number, in this process."""

    def __init__(self, folder: pathlib.Path, seed: int, replaying: bool = False) -> None:
        from guard import Guard, address_space_limited, peak_is_known
        from targets import TARGETS, make_quick

        from miniflow.datasets.splits import DataWarning
        from miniflow.graph.hits import NaNWarning
        from miniflow.graph.pixels import PixelWarning
        from miniflow.training.changes import (
            BitsWarning,
            RandomNumbersWarning,
            SettingsWarning,
            ThreadsWarning,
        )
        from miniflow.training.checkpoints import CheckpointWarning

        os.fsync = lambda _: None  # these files need not survive a power cut
        sys.modules["llvmlite"] = None  # type: ignore[assignment]  # trainings run on NumPy
        make_quick()
        self.seed = seed
        self.replaying = replaying
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            self.targets = [target(folder) for target in TARGETS]
        warnings.simplefilter("error")
        of_data = (DataWarning, NaNWarning, PixelWarning)
        of_changes = (BitsWarning, RandomNumbersWarning, SettingsWarning, ThreadsWarning)
        for expected in (*of_data, *of_changes, CheckpointWarning, ResourceWarning):
            warnings.simplefilter("ignore", expected)
        self.measures = peak_is_known()
        self.warm_up()
        self.guard = Guard(folder, SECONDS)
        address_space_limited(RESERVED)

    def warm_up(self) -> None:
        """What is imported when it is first used is imported now."""
        for target in self.targets:
            for i in range(60):
                target.prepare(random.Random(f"warm-up {i}"))
                with contextlib.suppress(Exception):
                    target.use()

    def run(self, number: int) -> Outcome:
        """The input of that number."""
        from guard import peak_bytes, reset_peak, resident_bytes

        draw = random.Random(f"{self.seed} {number}")
        target = draw.choices(self.targets, [target.share for target in self.targets])[0]
        target.prepare(draw)
        outcome = Outcome(collections.Counter(), {}, [])
        if self.measures:
            reset_peak()
            before = resident_bytes()
        what, trouble = self.use(target)
        if self.measures:
            peak = outcome.peaks[target.name] = peak_bytes() - before
            if peak > MOST_BYTES:
                trouble = trouble or f"took {peak:,} bytes"
        outcome.done[f"{target.name} {what}"] += 1
        if trouble:
            outcome.findings.append(Finding(number, target.name, trouble))
        return outcome

    def use(self, target: Any) -> tuple[str, str]:
        """Success or refusal, and what is wrong with it, if anything is."""
        from guard import ForbiddenError, HangError
        from targets import DECLARED

        trouble = ""
        self.guard.begin()
        try:
            target.use()
            what = "taken"
        except DECLARED as error:
            what, message = "refused", str(error)
            if isinstance(error, OSError) and error.filename is None and error.errno is None:
                trouble = f"an OSError of nothing: {message}"
            elif len(message) > MOST_LETTERS or any(
                unicodedata.category(c) == "Cc" for c in message if c != "\n"
            ):
                trouble = f"a message of {len(message)} letters: {message[:200]!a}"
        except (Exception, ForbiddenError, HangError) as error:
            what, trouble = "failed", _in_short(error)
            if self.replaying:
                traceback.print_exc()
        seen = self.guard.end()
        return what, f"refused by the guard: {seen[0]}" if seen else trouble


def _in_short(error: BaseException) -> str:
    """The kind of an error and where it came from: the same for inputs that meet one defect."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"{os.sep}miniflow{os.sep}" in f.filename] or frames[-1:]
    where = " < ".join(f"{pathlib.Path(f.filename).name}:{f.lineno}" for f in reversed(ours[-2:]))
    return f"{type(error).__name__} at {where}: {str(error)[:100]!a}"


def run_here(first: int, count: int, seed: int, note: pathlib.Path | None = None) -> Outcome:
    """Run inputs in this process; the number of the one under way is kept in a file."""
    whole = Outcome(collections.Counter(), {}, [])
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(pathlib.Path(folder), seed)
        for number in range(first, first + count):
            if note is not None:
                note.write_text(str(number))
            whole.add(fuzzer.run(number))
            if number % 500 == 0:
                gc.collect()
    return whole


def run_chunk(first: int, count: int, seed: int) -> Outcome:
    """Run inputs in a process of its own; one that crashes is a finding, and the rest is run."""
    with tempfile.TemporaryDirectory() as folder:
        note, result = pathlib.Path(folder, "number"), pathlib.Path(folder, "result")
        command = [sys.executable, __file__, "--first", str(first), "--inputs", str(count)]
        command += ["--seed", str(seed), "--note", str(note), "--result", str(result)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.exists():
            done, peaks, findings = json.loads(result.read_text())
            counted = collections.Counter(done)
            return Outcome(counted, peaks, [Finding(*finding) for finding in findings])
        if not note.exists():
            raise RuntimeError(f"the fuzzing itself failed:\n{ended.stderr[-3000:]}")
        crashed = int(note.read_text())
    told = f"the process ended with {ended.returncode}: {ended.stderr[-1500:]}"
    outcome = Outcome(collections.Counter({"? crashed": 1}), {}, [Finding(crashed, "?", told)])
    for start, stop in ((first, crashed), (crashed + 1, first + count)):
        if stop > start:
            outcome.add(run_chunk(start, stop - start, seed))
    return outcome


def main() -> None:
    """The command; its exit code is 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--replay", type=int, help="run this input again, and show its traceback")
    parser.add_argument("--note", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=pathlib.Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.result is not None:
        given.result.write_text(
            json.dumps(run_here(given.first, given.inputs, given.seed, given.note))
        )
        return
    if given.replay is not None:
        with tempfile.TemporaryDirectory() as folder:
            fuzzer = Fuzzer(pathlib.Path(folder), given.seed, replaying=True)
            print(fuzzer.run(given.replay).text())
        return
    print(f"seed {given.seed}", flush=True)
    whole = Outcome(collections.Counter(), {}, [])
    for start in range(given.first, given.first + given.inputs, CHUNK):
        count = min(CHUNK, given.first + given.inputs - start)
        chunk = run_chunk(start, count, given.seed)
        whole.add(chunk)
        if given.inputs > CHUNK:
            print(f"{start + count:,} inputs, {len(whole.findings)} findings", flush=True)
            for finding in chunk.findings:
                print(f"  input {finding.number}, {finding.target}: {finding.what}", flush=True)
    print(whole.text())
    sys.exit(bool(whole.findings))


if __name__ == "__main__":
    main()
