"""Other processes: a question that a forked child answers, whatever happens in it (the child never
runs tests), and a training that is killed.
"""

import os
import pathlib
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable

import pytest

SECONDS = 120  # should it wait for a lock that nobody gives back, it is not to wait for ever


def needs_fork(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that forks."""
    test = pytest.mark.filterwarnings("ignore::DeprecationWarning")(test)  # of fork beside threads
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")(test)


def in_a_child(question: Callable[[], bool]) -> bool:
    """The answer that a forked child gives."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(SECONDS)
            answer = question()
        except BaseException:
            traceback.print_exc()
            os._exit(2)
        os._exit(0 if answer else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 1), f"the child ended with {code}: less than 0 is a signal's number"
    return code == 0


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def run_until_killed(script: str, folder: pathlib.Path, *arguments: object) -> None:
    """Run a script that kills itself, in a process that finds the modules of a folder of tests."""
    source = os.pathsep.join([str(folder), str(folder.parents[1] / "src"), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
