"""How many threads compiled code may use: who is asked, in which order, and what is refused."""

import os
import re
from pathlib import Path

import pytest

import miniflow as mf
from miniflow.backends import thread_limit
from miniflow.backends.thread_limit import available_cores, max_threads, said_threads
from miniflow.options import OptionError


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_limit, "_said", None)
    for name in ("MINIFLOW_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def test_the_order_of_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (max_threads(), said_threads()) == (available_cores(), None)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert (max_threads(), said_threads()) == (7, None)
    monkeypatch.setenv("MINIFLOW_THREADS", "6")
    assert (max_threads(), said_threads()) == (6, 6)
    mf.set_threads(5)
    assert (max_threads(), said_threads()) == (5, 5)
    mf.set_threads(None)
    assert max_threads() == 6


def test_of_openmps_list_the_outermost_level_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert max_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, float("nan"), [2]])
def test_what_is_no_number_of_threads_is_refused(n: object) -> None:
    with pytest.raises(OptionError, match=r"^set_threads: n is a whole number of at least 1, not"):
        mf.set_threads(n)  # type: ignore[arg-type]
    assert said_threads() is None


@pytest.mark.parametrize("name", ["MINIFLOW_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("text", ["0", "-2", "1.5", "all", ""])
def test_a_variable_that_has_none_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    says = f"The environment variable {name} is a number of threads, a whole one of at least 1, not"
    with pytest.raises(OptionError, match=re.escape(f"{says} {text!r}.")):
        max_threads()


def test_cores_are_those_of_the_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(thread_limit, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 6}, raising=False)
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({}, 8),
    ],
)
def test_a_container_has_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    monkeypatch.setattr(thread_limit, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert available_cores() == cores
