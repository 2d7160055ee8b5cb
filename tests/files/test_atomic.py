"""A file that is written is either the old one or the new one; nothing is left lying beside it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from miniflow.files.atomic import write_bytes, write_text

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions and pipes")


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def no_space_left(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_new_file_holds_the_bytes_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    write_bytes(tmp_path / "a.bin", data)
    assert (tmp_path / "a.bin").read_bytes() == data
    assert names_in(tmp_path) == ["a.bin"]


def test_existing_file_is_replaced_by_a_shorter_one_entirely(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"a long old text")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.bin"]


def test_empty_data_makes_an_empty_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"")
    assert (tmp_path / "a").read_bytes() == b""


def test_relative_path_is_taken_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bytes("a.bin", b"here")
    assert (tmp_path / "a.bin").read_bytes() == b"here"


def test_text_is_utf8_and_line_ends_are_not_touched(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "épochs\nloss\r\n")
    assert (tmp_path / "a.csv").read_bytes() == "épochs\nloss\r\n".encode()


def test_longest_possible_file_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 200 + ".safetensors")
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failure_on_the_way_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, no_space_left)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["model.safetensors"]


def test_interrupt_while_writing_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["model.safetensors"]


def test_bytes_reach_the_disk_before_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("replace"), replace(a, b))[1])
    write_bytes(tmp_path / "a", b"x")
    assert steps[:2] == ["fsync", "replace"]


def test_missing_folder_is_named_by_the_path_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.bin"
    with pytest.raises(FileNotFoundError) as caught:
        write_bytes(path, b"x")
    assert caught.value.filename == str(path)
    assert ".part" not in str(caught.value)


def test_folder_cannot_be_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_bytes(tmp_path / "folder", b"x")
    assert caught.value.filename == str(tmp_path / "folder")
    assert names_in(tmp_path) == ["folder"]


@posix_only
def test_unwritable_folder_is_a_permission_error_with_the_path(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as caught:
            write_bytes(tmp_path / "a.bin", b"x")
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.filename == str(tmp_path / "a.bin")


@posix_only
def test_pipe_is_refused_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="Not a regular file"):
        write_bytes(path, b"x")
    assert stat.S_ISFIFO(path.stat().st_mode)


@posix_only
def test_replaced_file_keeps_its_permissions_and_a_new_one_follows_the_umask(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o640)
    previous = os.umask(0o027)
    try:
        write_bytes(old, b"x")
        write_bytes(new, b"x")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


@posix_only
def test_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "model"
    target.write_bytes(b"old")
    link = tmp_path / "latest"
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
