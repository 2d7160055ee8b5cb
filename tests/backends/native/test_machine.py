"""Kernels are compiled once: in a process, and on a disk, whatever happens to the disk."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading

import pytest

from miniflow.backends import cache
from miniflow.backends.native import machine

pytest.importorskip("llvmlite", reason="needs llvmlite (the extra `native`)")

PROGRAM = """
import numpy as np
from miniflow.backends import native
from miniflow.backends.native import machine
from miniflow.ir import Builder, ValueType

compiled = []
compile = machine._Machine.compile
machine._Machine.compile = lambda *a: compiled.append(1) or compile(*a)
b = Builder()
x = b.input(ValueType("f32", (5,)), name="x")
step = native.lower(b.program([b.add("exp", (b.add("negative", (x,)),))]))
(y,) = step.run([np.zeros(5, np.float32)])
assert y.tolist() == [1.0] * 5
print(len(compiled))
"""


def compiled_in_a_new_process(**environment: str) -> int:
    """How many texts a process compiles that runs a small program."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_second_process_compiles_nothing(tmp_path):
    assert compiled_in_a_new_process(MINIFLOW_CACHE=str(tmp_path)) == 2
    assert compiled_in_a_new_process(MINIFLOW_CACHE=str(tmp_path)) == 0
    entries = list((tmp_path / "native").iterdir())
    assert len(entries) == 3  # a program, and the machine code that it names
    for entry in entries:  # cut short, overwritten, as after a crash
        data = entry.read_bytes()
        entry.write_bytes(data[:-10] if entry is entries[0] else b"\0" * len(data))
    assert compiled_in_a_new_process(MINIFLOW_CACHE=str(tmp_path)) == 2
    assert compiled_in_a_new_process(MINIFLOW_CACHE=str(tmp_path)) == 0


def test_code_is_found_by_its_text_and_by_how_it_is_compiled(monkeypatch):
    found = machine._machine()
    key = found.key("one")
    assert key == found.key("one") != found.key("another")
    monkeypatch.setattr(found, "fingerprint", found.fingerprint + b" of another processor")
    assert found.key("one") != key


def test_where_nothing_can_be_written_it_compiles_for_itself(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert compiled_in_a_new_process(MINIFLOW_CACHE=str(tmp_path / "file")) == 2


def test_entries_are_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path / "deep" / "er"))
    assert cache.read("k1") is None
    cache.write("k1", b"machine code")
    assert cache.read("k1") == b"machine code"
    assert cache.read("k2") is None
    cache.write("k1", b"")
    assert cache.read("k1") == b""


def test_off_is_off(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    cache.write("k1", b"machine code")
    assert cache.read("k1") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that refuses")
def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path))
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        cache.write("k1", b"machine code")
        assert cache.read("k1") is None
    finally:
        tmp_path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "home/.cache/miniflow/native"),
        ("linux", {"XDG_CACHE_HOME": "{root}/xdg"}, "xdg/miniflow/native"),
        ("linux", {"XDG_CACHE_HOME": "relative/is/ignored"}, "home/.cache/miniflow/native"),
        ("darwin", {}, "home/Library/Caches/miniflow/native"),
        ("win32", {"LOCALAPPDATA": "{root}/local"}, "local/miniflow/native"),
        ("win32", {}, "home/AppData/Local/miniflow/native"),
        ("linux", {"MINIFLOW_CACHE": "{root}/mine"}, "mine/native"),
    ],
)
def test_entries_lie_where_the_platform_keeps_caches(
    platform, environment, folder, tmp_path, monkeypatch
):
    for name in ("MINIFLOW_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(root=tmp_path))
    monkeypatch.setattr(cache.sys, "platform", platform)
    monkeypatch.setattr(cache.Path, "home", lambda: tmp_path / "home")
    assert cache.folder() == tmp_path / folder


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def no_home() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MINIFLOW_CACHE", raising=False)
    monkeypatch.setattr(cache.Path, "home", no_home)
    assert cache.folder() is None
    cache.write("k1", b"machine code")
    assert cache.read("k1") is None


needs_owners = pytest.mark.skipif(os.name != "posix", reason="needs owners and modes of files")


@needs_owners
@pytest.mark.parametrize(
    ("place", "mode", "is_trusted"),
    [
        ("mine/native", 0o777, False),
        ("mine/native", 0o722, False),
        ("mine/native", 0o755, True),
        ("mine", 0o777, False),  # another folder could take the place of ours
        ("mine", 0o1777, True),  # but not where everybody's files are safe from others
        ("mine/native", 0o1777, False),
    ],
)
def test_code_is_kept_only_where_nobody_else_may_write(
    place, mode, is_trusted, tmp_path, monkeypatch
):
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path / "mine"))
    cache.write("k1", b"machine code")
    (tmp_path / place).chmod(mode)
    if is_trusted:
        assert cache.read("k1") == b"machine code"
        return
    with pytest.warns(cache.CacheWarning, match=f"others may write to .*{place}.*MINIFLOW_CACHE"):
        assert cache.read("k1") is None
    with pytest.warns(cache.CacheWarning):
        cache.write("k2", b"more")
    assert [entry.name for entry in (tmp_path / "mine" / "native").iterdir()] == ["k1"]


@needs_owners
def test_an_entry_that_others_may_write_to_is_compiled_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path))
    cache.write("k1", b"machine code")
    (tmp_path / "native" / "k1").chmod(0o666)
    assert cache.read("k1") is None


@needs_owners
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root can give away")
@pytest.mark.parametrize("given_away", ["", "native", "native/k1"])
def test_what_belongs_to_another_user_is_not_used(given_away, tmp_path, monkeypatch):
    folder = tmp_path / "theirs"
    monkeypatch.setenv("MINIFLOW_CACHE", str(folder))
    cache.write("k1", b"machine code")
    os.chown(folder / given_away, 12345, 12345)
    if given_away == "native/k1":
        assert cache.read("k1") is None
        return
    with pytest.warns(cache.CacheWarning, match="belongs to another user"):
        assert cache.read("k1") is None


@needs_owners
def test_folders_are_made_for_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path / "a" / "b"))
    old = os.umask(0)
    try:
        cache.write("k1", b"machine code")
    finally:
        os.umask(old)
    for place in ("a", "a/b", "a/b/native"):
        assert stat.S_IMODE((tmp_path / place).stat().st_mode) == 0o700


def test_many_writers_of_one_entry_leave_it_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFLOW_CACHE", str(tmp_path))
    data = bytes(range(256)) * 40
    seen = []

    def write_and_read() -> None:
        for _ in range(5):
            cache.write("k1", data)
            seen.append(cache.read("k1"))

    threads = [threading.Thread(target=write_and_read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {data}
    assert [entry.name for entry in (tmp_path / "native").iterdir()] == ["k1"]
