"""Runs functions of the kit (`kit.py`) in a process of their own, with so many CPU devices."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="the extra jax is not installed")


def environment(devices: int = 1) -> dict[str, str]:
    """That of a process which computes on so many CPU devices."""
    source = Path(sys.modules["miniflow"].__file__ or "").parent.parent
    return {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": os.pathsep.join([str(source), str(TESTS)]),
    }


def run_kit(*names: str, devices: int = 1, timeout: float = 240) -> None:
    """Run these functions, one after the other, and tell what the first that fails says."""
    code = "import sys, backends.jax.kit as kit\nfor name in sys.argv[1:]:\n    print(name)\n"
    command = [sys.executable, "-c", code + "    kit.find(name)()", *names]
    done = subprocess.run(
        command, env=environment(devices), capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
