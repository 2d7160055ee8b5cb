"""Runs a race: starts the contenders, refuses unequal mathematics, interleaves the rounds.

Each contender is a process of its own, and while times are taken, one process at a time has
something to do. A race goes in two parts. First the heats: each contender is started in every
setting that it has (one thread, all threads, ...), the settings take turns for a few rounds, and
the fastest goes on. Contenders are started several at a time, and have their heats when all of
these are ready. Then the race: in every round each contender takes the same number of steps, in an
order that shifts from round to round, with a short rest between them for pools of threads to fall
asleep. Who is far behind takes part in every third round: that is what most of the time went into.

The race of whole processes ("cold") does the same with processes in place of rounds.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from contenders import CONTENDERS, LIMITS, Contender, Setting, can_pin, on_one_core
from load import Watch
from process import Process, move
from races import Race

READY_WITHIN, ROUND_WITHIN = 240.0, 60.0  # seconds: compiling takes some frameworks a minute
HEATS = 3
FEWEST = 3  # rounds that are raced even if time is up
REST = 0.15  # seconds between rounds: OpenBLAS's threads wait for work longer than 0.03
FAR_BEHIND, SELDOM = 3.0, 3  # who takes so many times the fastest one's time races every third time
AT_A_TIME = 4  # contenders that are started together
TOO_BUSY = 0.1  # the share of a core above which an idle contender disturbs the others
ACCURACY, ROUNDING = 0.97, 0.005  # what whole processes reach on the test set; how far apart

Say = Callable[[str], None]


class DisagreementError(Exception):
    """Contenders of one race compute different things."""


@dataclass
class Entry:
    """A contender in one race, in one setting, and what was measured of it.

    `numbers` are the worker's, for the comparison. `rounds` holds, for each round, the seconds a
    step of each piece; most contenders have one piece.
    """

    contender: Contender
    setting: Setting
    numbers: list[float] = field(default_factory=list)
    rounds: list[dict[str, float]] = field(default_factory=list)
    memory: float = 0.0  # bytes, the most that its process has had
    unavailable: str = ""
    note: str = ""
    process: Process | None = None
    idle_since: float = math.inf

    @property
    def seconds(self) -> list[float]:
        """Seconds a step, of each round."""
        return [sum(pieces.values()) for pieces in self.rounds]

    @property
    def least(self) -> float:
        """The fastest round; infinite if there was none."""
        return min(self.seconds, default=math.inf)


@dataclass(frozen=True)
class Terms:
    """How a race is run: so many `rounds`, or once there were a few, for so many `seconds`; with
    the contenders that have `only` in their names; short ones if `quick`; with one thread each, on
    one core, if `one_thread`. `say` is told how it goes on.
    """

    rounds: int
    seconds: float
    quick: bool
    only: str
    one_thread: bool
    say: Say

    def entrants(self, race: Race) -> list[list[Entry]]:
        """For each contender of a race, an entry in each setting that this system allows."""
        return [
            [Entry(contender, setting) for setting in self._settings(contender)]
            for contender in CONTENDERS
            if race.kind in contender.races and self.only.lower() in contender.name.lower()
        ]

    def _settings(self, contender: Contender) -> list[Setting]:
        if self.one_thread:
            return list(dict.fromkeys(map(on_one_core, contender.settings)))
        return [s for s in contender.settings if can_pin() or not s.pinned]


# ---------------------------------------------------------------------------------- steps a round


def run(race: Race, data: Path, terms: Terms) -> tuple[list[Entry], float | None]:
    """Race all contenders; the entries of those that could not take part say why. And how many
    cores others used meanwhile.

    Raises `DisagreementError`.
    """
    options = ["--quick"] if terms.quick else []
    entries: list[Entry] = []
    groups = terms.entrants(race)
    with contextlib.ExitStack() as stack:
        for first in range(0, len(groups), AT_A_TIME):
            started = time.monotonic()
            together = groups[first : first + AT_A_TIME]
            for candidates in together:
                for entry in candidates:
                    stack.callback(end_process, entry)
            prepare(together, race, data, options)
            chosen = [entry for candidates in together for entry in heats(candidates)]
            for entry in chosen:
                state = entry.unavailable or f"ready, {entry.setting.name}"
                terms.say(f"  {entry.contender.name}: {state}")
            terms.say(f"  ({time.monotonic() - started:.0f} s)")
            entries += chosen
        compare(entries, race.tolerance)
        return entries, rounds_of(entries, terms)


def rounds_of(entries: list[Entry], terms: Terms) -> float | None:
    """Race those that are ready, and say how many cores others used meanwhile."""
    running = [entry for entry in entries if not entry.unavailable]
    alive = [entry.process.process.pid for entry in running if entry.process]
    terms.say(f"  racing, {terms.rounds} rounds or {terms.seconds:.0f} s")
    watch = Watch(alive)
    end = time.monotonic() + terms.seconds
    for number in range(terms.rounds):
        if number >= FEWEST and time.monotonic() > end:
            terms.say(f"  out of time after {number} rounds")
            break
        fastest = min((e.least for e in running if e.contender.kind not in LIMITS), default=0.0)
        shift = number % max(1, len(running))
        for entry in running[shift:] + running[:shift]:
            is_behind = math.inf > entry.least > FAR_BEHIND * fastest
            is_due = number < FEWEST or number % SELDOM == 0
            if is_due or not is_behind or entry.contender.kind in LIMITS:
                one_round(entry, number)
    return watch.cores(alive)


def prepare(groups: list[list[Entry]], race: Race, data: Path, options: list[str]) -> None:
    """Start contenders in all their settings, several at a time; those that are to have one core
    are put on the same one in the end.
    """
    cores = sorted(os.sched_getaffinity(0)) if can_pin() else [0]

    def start(number: int, candidates: list[Entry]) -> None:
        for entry in candidates:
            core = cores[number % len(cores)]
            entry.process = Process(entry.contender, entry.setting, race, data, *options, core=core)
            answer = entry.process.ask("prepare", READY_WITHIN)
            if "unavailable" in answer:
                retire(entry, answer["unavailable"])
                break  # what one setting lacks, the others lack as well
            entry.numbers = answer["numbers"]
            if entry.setting.pinned:
                move(entry.process.process.pid, cores[-1])

    with ThreadPoolExecutor(len(cores)) as pool:
        list(pool.map(start, range(len(groups)), groups))


def heats(candidates: list[Entry]) -> list[Entry]:
    """Of the settings that are ready, keep the fastest; of the limit, keep them all."""
    ready = [entry for entry in candidates if entry.process]
    if not ready:
        return [next((entry for entry in candidates if entry.unavailable), candidates[0])]
    if ready[0].contender.kind in LIMITS:
        return ready
    if len(ready) > 1:
        for number in range(HEATS):
            for entry in ready:
                one_round(entry, number)
    ready.sort(key=lambda entry: entry.least)
    for loser in ready[1:]:
        retire(loser, "slower than in another setting")
    ready[0].rounds.clear()  # the heats do not count
    return ready[:1]


def retire(entry: Entry, reason: str) -> None:
    """Take an entry out of the race."""
    entry.unavailable = reason
    end_process(entry)


def end_process(entry: Entry) -> None:
    """End an entry's process, if it has one."""
    if entry.process:
        entry.process.quit()
        entry.process = None


def one_round(entry: Entry, number: int) -> None:
    """One round of one contender, after a rest."""
    if entry.process is None:
        return
    time.sleep(REST)
    idle_for = time.monotonic() - entry.idle_since
    answer = entry.process.ask(f"round {number}", ROUND_WITHIN)
    if "unavailable" in answer:
        retire(entry, answer["unavailable"])
        return
    entry.rounds.append(answer["pieces"])
    entry.memory = max(entry.memory, answer["memory"])
    if idle_for > 1 and answer["idle"] > TOO_BUSY * idle_for:
        entry.note = "kept a core busy while others ran"
    entry.idle_since = time.monotonic()


# ---------------------------------------------------------------------------------- whole processes


def run_cold(race: Race, files: Path, terms: Terms) -> tuple[list[Entry], float | None]:
    """The race of whole processes: the clock runs from the start of each to its end.

    One process in each setting goes first: it chooses the setting, is checked, and fills those
    caches that stay, of compiled files. Then one is raced at least, and `rounds` if time allows.
    """
    entries: list[Entry] = []
    for candidates in terms.entrants(race):
        for entry in candidates:
            whole_process(entry, race, files)
            how = entry.unavailable or f"{entry.least:.1f} s, accuracy {entry.numbers[0]:.4f}"
            terms.say(f"  {entry.contender.name}, {entry.setting.name}: {how}")
            if entry.unavailable:
                break
        entries.append(min(candidates, key=lambda entry: entry.least))
    compare(entries, ROUNDING)
    for entry in entries:
        entry.rounds.clear()
        if entry.numbers and entry.numbers[0] < ACCURACY:
            name, accuracy = entry.contender.name, entry.numbers[0]
            raise DisagreementError(f"{name} ends at an accuracy of {accuracy:.4f}")
    watch = Watch()
    end = time.monotonic() + terms.seconds
    for number in range(terms.rounds):
        if number >= 1 and time.monotonic() > end:
            terms.say(f"  out of time after {number} rounds")
            break
        for entry in entries:
            whole_process(entry, race, files)
    return entries, watch.cores()


def whole_process(entry: Entry, race: Race, files: Path) -> None:
    """One whole process of a contender that has not failed yet."""
    if entry.unavailable:
        return
    time.sleep(REST)
    start = time.perf_counter()
    process = Process(entry.contender, entry.setting, race, files, "--cold")
    answer = process.answer(READY_WITHIN)
    process.wait(READY_WITHIN)
    took = time.perf_counter() - start
    process.quit()
    entry.unavailable = answer.get("unavailable", "")
    entry.numbers = answer.get("numbers", [])
    if not entry.unavailable:
        entry.rounds.append({"process": took})


# ---------------------------------------------------------------------------- the same mathematics


def compare(entries: list[Entry], tolerance: float) -> None:
    """Raise `DisagreementError` unless all that take part computed what the first by hand computed.

    A loss that scikit-learn does not tell is passed over; one contender alone has nothing to be
    compared with. Of a whole process it is the accuracy, which rounding moves by a few images.
    """
    ready = [e for e in entries if e.numbers and e.contender.kind not in LIMITS]
    if not ready:
        return
    reference = next((e for e in ready if e.contender.kind == "by hand"), ready[0])
    for entry in ready:
        pair = f"{entry.contender.name} and {reference.contender.name}"
        if len(entry.numbers) != len(reference.numbers):
            raise DisagreementError(f"{pair} answer with different numbers of arrays")
        for place, (mine, other) in enumerate(zip(entry.numbers, reference.numbers, strict=True)):
            is_untold = place == 0 and math.isnan(mine) and entry.contender.module == "sklearn_"
            if not is_untold and not abs(mine - other) <= tolerance * max(abs(other), 0.1):
                raise DisagreementError(
                    f"{pair} do not compute the same: {mine:.6g} and {other:.6g}, "
                    f"number {place} of the check"
                )
