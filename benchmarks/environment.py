"""The environment that the peers are installed in: `.venv-bench`, beside the working tree.

PyTorch and JAX take gigabytes and have no place in the environment in which miniflow is worked on.
Set-up is skipped when it was done for the same requirements and the same Python. miniflow itself is
not installed: contenders are given `src`, so that what is raced is the working tree as it is.

Only the standard library is used here: this runs in whatever Python `run.py` was started with.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-bench"
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
STAMP = FOLDER / "set-up-for"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def set_up() -> None:
    """Make `.venv-bench` and install the requirements, unless that was done already."""
    wanted = state()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    print(f"Setting up {FOLDER.name} (about 2 GB, a few minutes; done once):", flush=True)
    if not PYTHON.exists():
        step("make the environment", sys.executable, "-m", "venv", str(FOLDER))
    (FOLDER / ".gitignore").write_text("*\n")
    requirements = f"install {REQUIREMENTS.relative_to(ROOT)}"
    step(requirements, str(PYTHON), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS))
    STAMP.write_text(wanted)


def step(what: str, *command: str) -> None:
    """Say what is done and do it; its own words are shown only if it fails."""
    print(f"  {what}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nThat failed: {what}.")


def state() -> str:
    """What the environment depends on, as a short text."""
    content = REQUIREMENTS.read_bytes() + sys.version.encode()
    return hashlib.sha256(content).hexdigest()


def enter() -> None:
    """Go on in the environment's Python; returns at once if this is it already."""
    if Path(sys.prefix).resolve() == FOLDER.resolve():
        return
    set_up()
    command = [str(PYTHON), *sys.argv]
    if os.name == "nt":  # where a process cannot become another one
        sys.exit(subprocess.run(command).returncode)
    os.execv(command[0], command)
