"""What runs in the process in which a learner's code runs, for `running.py`.

It writes each part's result as a line of JSON into a file as soon as the part is done, and the
whole report at the end, so that what was passed counts even if the rest loops for ever, ends Python
or crashes it. Prints go to the standard output, which is nobody's protocol. If the time is up, or
Python crashes, `faulthandler` leaves the line at which that happened in a second file.
"""

import contextlib
import faulthandler
import json
import os
import sys
from pathlib import Path

from miniflow.lab.exercises import exercise
from miniflow.lab.inside import check_with_needs

MEMORY = 8 * 2**30


def main(name: str, folder: str, seed: str, results: str, trace: str, seconds: str) -> None:
    with open(results, "a", encoding="utf-8") as told, open(trace, "w", encoding="utf-8") as lost:

        def tell(**news: object) -> None:
            told.write(json.dumps(news) + "\n")
            told.flush()

        wanted = exercise(name)
        limit_memory()
        faulthandler.enable(file=lost)
        faulthandler.dump_traceback_later(float(seconds), exit=True, file=lost)
        report = check_with_needs(
            wanted, Path(folder), int(seed), tell=lambda result: tell(part=result.to_json())
        )
        tell(report=report.to_json())
        with contextlib.suppress(Exception):
            sys.stdout.flush()
    os._exit(0)  # whatever threads the learner's code has left behind


def limit_memory() -> None:
    """Let what asks for too much memory fail by itself, where the system knows such a limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if sys.platform == "linux" and hard == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))
