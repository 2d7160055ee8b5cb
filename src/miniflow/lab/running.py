"""Running a check on a learner's folder, whatever is in it: in a process of its own, with limits.

    report = run_check("mul", folder)

The process may loop for ever, print without end, end itself or crash: what it had found until then
is in the file of results, and the report says what happened, with the learner's line where it is
known. Nothing that the learner's code prints can be taken for a result. It could write to that file
or take it away, though: the file is held open from the beginning, no more of it is read than a
report has, and what has not the form of one, or is about other parts or points, counts as nothing.
"""

import contextlib
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import miniflow
from miniflow.lab.checking import Exercise
from miniflow.lab.exercises import CHAPTERS, LabError, exercise
from miniflow.lab.findings import Report
from miniflow.lab.inside import check_with_needs
from miniflow.lab.lines import line_of
from miniflow.lab.results import CodeLine, Finding, PartResult, part_from_json

WITHOUT_PROCESSES = ("emscripten", "wasi")  # Python in a browser
KEPT = 4_000  # characters of what the learner's code prints
MOST = 1_000_000  # bytes that it may print
MOST_NEWS = 4_000_000  # bytes of results that are read
GRACE = 30.0  # seconds for Python to start and end, beyond the time that the check has
WORKER = """\
import os, sys
if hasattr(os, "fork"):  # so that `os.getppid()` is nobody's but this check's
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            os.kill(os.getpid(), os.WTERMSIG(status))
        os._exit(os.waitstatus_to_exitcode(status) % 256)
package = sys.argv.pop(1)
if package not in sys.path:
    sys.path.insert(0, package)
from miniflow.lab.worker import main
main(*sys.argv[1:])
"""  # the very miniflow that asks, wherever it was imported from
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f]")


def run_check(
    name: str, folder: Path, seed: int | None = None, seconds: float | None = None
) -> Report:
    """Check one exercise of a learner's folder.

    Args:
        name: the exercise.
        folder: where the learner's files are.
        seed: of the random numbers, not negative; drawn if None.
        seconds: the time limit; the exercise's own if None.

    Raises LabError if there is no such exercise, or if the seed is negative.
    """
    wanted = exercise(name)
    seed = choose_seed(seed)
    if sys.platform in WITHOUT_PROCESSES:
        return check_here(wanted, folder, seed)
    seconds = wanted.seconds if seconds is None else seconds
    with tempfile.TemporaryDirectory(prefix="miniflow-lab-", ignore_cleanup_errors=True) as place:
        results, trace = Path(place, "results"), Path(place, "trace")
        with open(results, "w+b") as told, open(trace, "w+b") as lost:
            arguments = [name, str(folder.resolve()), str(seed), str(results), str(trace)]
            process = start_worker([*arguments, str(seconds)], folder)
            output = PrintedOutput(process)
            try:
                process.wait(seconds + GRACE)
            except subprocess.TimeoutExpired:
                output.ended = "timeout"
            finally:
                stop(process)  # after Ctrl-C as well
            printed = output.text()
            report, done = read_news(told.read(MOST_NEWS), wanted)
            trail = lost.read(MOST_NEWS).decode("utf-8", "replace")
    if report is not None and process.returncode == 0:
        return replace(
            report,
            exercise=wanted.name,
            title=wanted.title,
            file=wanted.file,
            printed=printed,
            seed=seed,
            folder=str(folder),
        )
    reason = output.ended or ("timeout" if trail.startswith("Timeout") else "")
    trouble = finding_of_stop(reason, process.returncode, seconds, line_in(trail, folder))
    return unfinished_report(wanted, folder, seed, done, trouble, printed)


def check_here(wanted: Exercise, folder: Path, seed: int) -> Report:
    """The same check in this very process, where there are no others: what the learner's code
    prints is kept, and a loop without end is not stopped.
    """
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        report = check_with_needs(wanted, folder, seed)
    return replace(report, printed=shown_text(printed.getvalue()))


def shown_text(printed: str) -> str:
    """The beginning of what was printed, as text that a terminal can be given."""
    text = CONTROL.sub("", printed.replace("\r\n", "\n"))
    return text if len(text) <= KEPT else text[:KEPT] + "\n..."


def choose_seed(seed: int | None) -> int:
    """The seed, or a drawn one if it is None. Raises LabError if it is negative."""
    if seed is not None and seed < 0:
        raise LabError(f"A seed is a number from 0 on; this one is {seed}.")
    return secrets.randbits(31) if seed is None else seed


def start_worker(arguments: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    # -P: a numpy.py in the learner's folder is not NumPy. No window, and no question, may open.
    package = str(Path(miniflow.__file__).parent.parent)
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg"}
    return subprocess.Popen(
        [sys.executable, "-P", "-X", "utf8", "-c", WORKER, package, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        start_new_session=os.name == "posix",
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a worker that has not ended, and, where the system can, what it has started."""
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


class PrintedOutput:
    """What a process prints, read as it comes; a process that prints too much is ended."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.ended = ""
        self._kept = b""
        self._process = process
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        count = 0
        with stream, contextlib.suppress(OSError, ValueError):
            while chunk := stream.read1(65536):  # type: ignore[attr-defined]
                count += len(chunk)
                if len(self._kept) < 4 * KEPT:
                    self._kept += chunk
                if count > MOST and not self.ended:
                    self.ended = "output"
                    self._process.kill()

    def text(self) -> str:
        """The beginning of it, as text that a terminal can be given."""
        self._reader.join(2)  # a process that the learner's code started may still hold the pipe
        return shown_text(self._kept.decode("utf-8", "replace"))


def read_news(told: bytes, wanted: Exercise) -> tuple[Report | None, list[PartResult]]:
    """The report that the worker has written, if it came so far, and the parts that were done."""
    report, done = None, list[PartResult]()
    for line in told.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            item = json.loads(line)
            if type(item) is dict and "report" in item:
                claimed = Report.from_json(item["report"])
                report = claimed if _is_about(claimed.parts, wanted, len(wanted.parts)) else report
            elif type(item) is dict and "part" in item:
                claimed_part = part_from_json(item["part"])
                if _is_about([*done, claimed_part], wanted, len(done) + 1):
                    done.append(claimed_part)
    return report, done


def _is_about(parts: Sequence[PartResult], wanted: Exercise, count: int) -> bool:
    """Whether these are results of the first parts of an exercise, for the points they have."""
    return [(part.text, part.points) for part in parts] == [
        (part.text, part.points) for part in wanted.parts[:count]
    ] and len(parts) == count


def line_in(trace: str, folder: Path) -> CodeLine | None:
    """The learner's line in what faulthandler has written, the most recent call first."""
    here = str(folder.resolve()).encode("ascii", "backslashreplace").decode()  # as it writes paths
    for path, number in re.findall(r'File "(.+)", line (\d+)', trace):
        folder_of_file, _, name = path.replace("/", os.sep).rpartition(os.sep)
        if folder_of_file == here:
            return line_of(str(folder / name), int(number))
    return None


def finding_of_stop(
    reason: str, status: int | None, seconds: float, line: CodeLine | None
) -> Finding:
    """What to say of a worker that did not come to its end."""
    if reason == "timeout":
        sentence = f"stopped after {seconds:g} seconds: is there a loop that never ends?"
    elif reason == "output":
        sentence = (
            f"stopped because it prints more than {MOST:,} letters: is there a print in a loop, "
            "or of a large array?"
        )
    elif status is not None and status == -signal.SIGTERM:
        sentence = "your code ended the check (SIGTERM); take that out."
    elif status is not None and (status < 0 or status > 255):
        sentence = "Python itself crashed while it ran your code."
    else:
        sentence = f"your code ended Python (os._exit, status {status}); take that out."
    return Finding("stopped", sentence, line=line)


def unfinished_report(
    wanted: Exercise,
    folder: Path,
    seed: int,
    done: list[PartResult],
    trouble: Finding,
    printed: str,
) -> Report:
    """The report of a check that was stopped: what was done counts, the rest was not run."""
    not_run = [PartResult(part.text, part.points, ran=False) for part in wanted.parts[len(done) :]]
    first = tuple(
        chapter.exercise
        for chapter in CHAPTERS
        if trouble.line and chapter.file == trouble.line.file != wanted.file
    )
    return Report(
        wanted.name,
        wanted.title,
        wanted.file,
        (*done, *not_run),
        seed,
        trouble,
        printed,
        first,
        str(folder),
    )
