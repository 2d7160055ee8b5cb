"""The harness's end of a contender's process: start it, ask it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from contenders import ANEW, CLEARED, CONTENDERS, Contender, Setting
from races import Race

HERE = Path(__file__).resolve().parent
Answer = dict[str, Any]


class Process:
    """A running `worker.py` for one contender in one setting; one that has a core for itself is put
    on number `core`.

    Answers are dictionaries; one that could not be had has a reason under "unavailable".
    """

    def __init__(
        self,
        contender: Contender,
        setting: Setting,
        race: Race,
        data: Path,
        *options: str,
        core: int | None = None,
    ) -> None:
        self.cache = tempfile.TemporaryDirectory() if ANEW in setting.environment else None
        index = str(CONTENDERS.index(contender))
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), index, race.name, str(data), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(setting, self.cache.name if self.cache else None, core),
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Hand on what the process says, then an empty line for its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def ask(self, command: str, within: float) -> Answer:
        """Send a command and wait for its answer, so many seconds at most."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # a dead process is noticed by its silence
            self.process.stdin.write(f"{command}\n")
            self.process.stdin.flush()
        return self.answer(within)

    def answer(self, within: float) -> Answer:
        """The next answer, asked for or not."""
        try:
            line = self.lines.get(timeout=within)
        except queue.Empty:
            return {"unavailable": f"no answer within {within:.0f} s"}
        if not line:
            return {"unavailable": f"its process ended with code {self.process.wait()}"}
        answer: Answer = json.loads(line)
        if "unavailable" in answer:
            answer["unavailable"] = readable(answer["unavailable"])
        return answer

    def wait(self, within: float) -> None:
        """Wait for a process that ends by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within)

    def quit(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        if self.cache:
            self.cache.cleanup()


def move(process: int, core: int) -> None:
    """Put a process, with all its threads, on a core."""
    for thread in os.listdir(f"/proc/{process}/task"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), {core})


def environment(setting: Setting, cache: str | None, core: int | None = None) -> dict[str, str]:
    """The variables that a contender starts with: the user's, less those that decide races."""
    result = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    result["PYTHONPATH"] = str(HERE.parent / "src")  # miniflow as it is in this working tree
    result.update(setting.environment)
    if setting.pinned:
        result["PIN_TO_A_CORE"] = str(max(os.sched_getaffinity(0)) if core is None else core)
    if cache:
        places = ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME")
        result.update(dict.fromkeys(places, cache))
    return result


def readable(reason: str) -> str:
    """A reason in one line, without the folders of this machine."""
    first_line = next((line.strip() for line in reason.splitlines() if line.strip()), "")
    return re.sub(r"\s*\(?(/[\w.+-]+){2,}\)?", "", first_line)[:120]
