"""Tables of results: on the terminal, and in RESULTS.md with a description of the machine.

The true limit is a step's multiply-adds, at the rate of which the processor is capable, and its
gather; the ratio to it says how far a contender is from what can be at all. Products by the best
BLAS, each where it was fastest, have a line of their own. The ratio to the fastest peer says how
many times faster than it a contender is; peers are frameworks, not what was written by hand. All
ratios compare minima.
"""

from __future__ import annotations

import math
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from contenders import LIMITS
from harness import FAR_BEHIND, Entry
from races import Race

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
PACKAGES = ("numpy", "torch", "jax", "scikit-learn", "autograd", "micrograd", "numba")
HEADER = ("contender", "set to", "min", "median", "× limit", "× fastest peer", "peak MB")
Row = tuple[str, ...]


class Limit:
    """The sum of the pieces, each taken where it was fastest."""

    def __init__(self, entries: list[Entry], kind: str) -> None:
        self.best: dict[str, tuple[float, float, str]] = {}
        for entry in entries:
            if entry.contender.kind != kind or not entry.rounds:
                continue
            library = entry.contender.name.removeprefix("products by ")
            where = f"{library}, {entry.setting.name}"
            for piece in entry.rounds[0]:
                times = [pieces[piece] for pieces in entry.rounds]
                found = (min(times), median(times), where)
                self.best[piece] = min(self.best.get(piece, found), found)
        self.minimum = sum(piece[0] for piece in self.best.values())
        self.median = sum(piece[1] for piece in self.best.values())


def table(race: Race, entries: list[Entry]) -> tuple[list[Row], list[str]]:
    """The rows of a race's table, the fastest first, and the lines below it."""
    limit, blas = Limit(entries, "true limit"), Limit(entries, "limit")
    ready = sorted((e for e in entries if is_shown(e) and e.rounds), key=lambda e: e.least)
    ready = [entry for entry in ready if not entry.unavailable]
    fastest_peer = min((e.least for e in ready if e.contender.kind == "peer"), default=math.nan)
    unit = Unit(ready[0].least if ready else 1)

    def row(name: str, setting: str, least: float, middle: float, memory: float = 0) -> Row:
        to_limit = f"{least / limit.minimum:.2f}" if limit.best else ""
        to_peer = "" if math.isnan(fastest_peer) else f"{fastest_peer / least:.2f}"
        megabytes = f"{memory / 1e6:.0f}" if memory else ""
        return name, setting, unit.show(least), unit.show(middle), to_limit, to_peer, megabytes

    rows = [
        row(e.contender.name, e.setting.name, e.least, median(e.seconds), e.memory) for e in ready
    ]
    for name, found in (("products by the best BLAS", blas), ("the true limit", limit)):
        if found.best:
            rows.insert(0, row(name, "each piece's best", found.minimum, found.median))
    return rows, notes(race, entries, ready, {"true limit": limit, "best BLAS": blas}, unit)


def notes(
    race: Race, entries: list[Entry], ready: list[Entry], limits: dict[str, Limit], unit: Unit
) -> list[str]:
    """What is to be said below a table, a sentence or two a line."""
    lines = [f"Times are {unit.name} {'a process' if race.kind == 'cold' else 'a step'}."]
    if ready:
        counts = [len(entry.rounds) for entry in ready]
        lines[0] += f" Rounds: {max(counts)}"
        lines[0] += f", of {race.steps} steps" if race.steps > 1 else ""
        fewer = f"; {min(counts)} of those that take {FAR_BEHIND:.0f} times the least or longer"
        lines[0] += f"{fewer}." if min(counts) < max(counts) else "."
    if race.kind == "cold" and ready:
        accuracies = [entry.numbers[0] for entry in ready]
        lines.append(f"Accuracy on the test set: {min(accuracies):.4f} to {max(accuracies):.4f}.")
    if rolled := [e.contender.name for e in ready if e.contender.kind == "rolled"]:
        lines.append(f"Told of a loop, so not counted as peers: {', '.join(rolled)}.")
    for title, limit in limits.items():
        if limit.best:
            pieces = (f"{name} {unit.show(b[0])} ({b[2]})" for name, b in limit.best.items())
            lines.append(f"The {title}: {'; '.join(pieces)}.")
    for entry in filter(is_shown, entries):
        if entry.note:
            lines.append(f"{entry.contender.name} {entry.note}.")
        if entry.unavailable:
            lines.append(f"Not in the race: {entry.contender.name} ({entry.unavailable}).")
    return lines


def is_shown(entry: Entry) -> bool:
    """Whether an entry has a line of its own."""
    return entry.contender.kind not in LIMITS


class Unit:
    """The unit in which a race's times, of which this is the least, read well."""

    def __init__(self, least: float) -> None:
        self.name, self.scale = ("seconds", 1.0) if least >= 0.1 else ("µs", 1e6)
        self.digits = 2 if least * self.scale < 50 else 0

    def show(self, seconds: float) -> str:
        return f"{seconds * self.scale:,.{self.digits}f}"


def as_text(race: Race, rows: list[Row], notes: list[str]) -> str:
    """The table for a terminal: columns aligned, numbers to the right."""
    widths = [max(len(row[i]) for row in (HEADER, *rows)) for i in range(len(HEADER))]
    lines = [f"{race.name}: {race.title}", ""]
    for row in (HEADER, *rows):
        cells = [
            c.ljust(w) if i < 2 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*lines, "", *(f"  {note}" for note in notes), ""])


def as_markdown(race: Race, rows: list[Row], notes: list[str]) -> str:
    """The race's section of RESULTS.md."""
    lines = [f"## {race.name}", "", f"{race.title}.", ""]
    lines.append("| " + " | ".join(HEADER) + " |")
    lines.append("|---|---|---:|---:|---:|---:|---:|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), ""])


def write(sections: dict[str, str], order: list[str], path: Path = RESULTS) -> None:
    """Put sections into RESULTS.md; those of other races stay if the machine is the same."""
    head = introduction()
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    kept: dict[str, str] = {}
    if old.startswith(head):
        for section in re.split(r"(?m)^(?=## )", old[len(head) :]):
            if section.startswith("## "):
                kept[section[3:].splitlines()[0]] = section.rstrip() + "\n"
    kept.update(sections)
    ordered = [kept[name].rstrip() for name in order if name in kept]
    text = head + "\n\n".join(ordered) + "\n"
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


INTRODUCTION = """\
# Results

Written by `make bench` (`python benchmarks/run.py`). Contenders take turns, each in its own
process, and have been checked to compute the same numbers. “× limit” is the time as a multiple of
the true limit: the step's multiply-adds, at the rate of which the processor is capable, and its
gather. “× fastest peer” is how many times faster than the fastest framework; both compare minima.
“peak MB” is the most memory that the process has had. Compare numbers within a table only. Where
the steps spend their time, PROFILES.md shows; what was tried in vain, LOG.md.

"""


def introduction() -> str:
    """What stands above the tables: how to read them, and where they were measured."""
    return INTRODUCTION + "".join(f"- {line}\n" for line in machine()) + "\n"


def machine() -> list[str]:
    """The machine in a few lines; nothing that tells whose it is."""
    installed = []
    for package in PACKAGES:
        try:
            installed.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            installed.append(f"no {package}")
    return [
        f"Processor: {processor()}; {os.cpu_count()} cores.",
        f"System: {platform.system()} ({platform.machine()}), Python {platform.python_version()}.",
        f"Packages: {', '.join(installed)}.",
        f"NumPy's BLAS: {blas()}.",
    ]


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"(?m)^model name\s*:\s*(.+)$", text)
    return found[1].strip() if found else platform.machine()


def blas() -> str:
    """What NumPy multiplies matrices with, and which kernels it chose here."""
    import numpy  # noqa: F401  # loads its BLAS
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas":
            kernels = library.get("architecture", "kernels unknown")
            return f"{library['internal_api']} {library['version']} ({kernels})"
    return "not known to threadpoolctl"


def warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
