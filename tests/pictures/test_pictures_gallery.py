"""The gallery in docs/ is what its code makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_gallery_is_what_its_code_makes() -> None:
    command = [sys.executable, str(ROOT / "docs" / "make_pictures.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
