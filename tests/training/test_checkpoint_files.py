"""Checkpoints as files: damaged ones, full disks, folders that cannot be written to, links."""

import builtins
import errno
import os
import pathlib
import random
from importlib.util import find_spec
from typing import Any

import pytest
from blobs import problem
from checkpointed import refusal, train

from miniflow.files.arrays import read_arrays, sealed
from miniflow.files.atomic import _temporary
from miniflow.training import Training
from miniflow.training.callbacks import Callback
from miniflow.training.checkpoints import CheckpointWarning, previous_path


def test_the_checkpoint_before_is_kept_and_serves_if_the_last_is_damaged(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    straight, parts = problem(), problem()
    train(straight, tmp_path / "straight", 4)
    train(parts, path, 3)
    whole = path.read_bytes()
    for damaged in (whole[:-100], b"", whole[:-1] + b"\x7f", bytes(len(whole))):
        path.write_bytes(damaged)
        told = r"checkpoint\.safetensors: is damaged.* The checkpoint before it, .* of epoch 2, is"
        with pytest.warns(CheckpointWarning, match=told):
            history = train(parts, path, 3)
        assert len(history) == 3
    path.write_bytes(whole)
    train(parts, path, 4)
    assert parts.bytes() == straight.bytes()
    path.unlink()  # as if killed between moving the last one aside and writing the next
    again = problem()
    with pytest.warns(CheckpointWarning, match="is not there. The checkpoint before it.*epoch 3"):
        train(again, path, 4)
    assert again.bytes() == straight.bytes()


def test_a_damaged_checkpoint_never_takes_the_place_of_a_whole_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    train(problem(), path, 3)
    kept = previous_path(path).read_bytes()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(CheckpointWarning):
        train(problem(), path, 3)
    assert previous_path(path).read_bytes() == kept
    for _ in range(2):  # the one written now is whole, and so is the one before
        path.unlink()
        with pytest.warns(CheckpointWarning, match="of epoch 2, is used"):
            train(problem(), path, 3)


def test_two_damaged_checkpoints_are_both_told_and_change_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    train(problem(), path, 2)
    for place in (path, previous_path(path)):
        place.write_bytes(place.read_bytes()[:-9])
    told = refusal(path)
    assert told.count("is damaged") == 2
    assert f"And the checkpoint before it: {previous_path(path)}" in told


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_told(tmp_path: pathlib.Path) -> None:
    path, p = tmp_path / "c", problem()
    train(p, path, 1)
    whole, draw = path.read_bytes(), random.Random(7)
    for _ in range(40):
        place = draw.randrange(8 * len(whole))
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert "is " in refusal(path, p)


def no_space_left(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.breadth("step")
@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_full_disk_costs_no_checkpoint_and_says_so(
    step: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    straight, parts = problem(), problem()
    train(straight, tmp_path / "straight", 4)
    train(parts, path, 3)
    before = {place: place.read_bytes() for place in (path, previous_path(path))}
    if step == "open":
        opening = builtins.open
        full = lambda name, mode="r", *rest: (  # noqa: E731
            no_space_left() if "x" in mode else opening(name, mode, *rest)
        )
        monkeypatch.setattr("miniflow.files.atomic.open", full, raising=False)
    else:
        monkeypatch.setattr(os, step, no_space_left)
    with pytest.raises(OSError, match="No space left") as caught:
        train(parts, path, 4)
    monkeypatch.undo()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert caught.value.strerror.endswith("; the checkpoint of epoch 3 is as it was")
    assert {place: place.read_bytes() for place in tmp_path.glob("checkpoint*")} == before
    assert not list(tmp_path.glob(".*"))
    resumed = problem()
    train(resumed, path, 4)
    assert resumed.bytes() == straight.bytes()


def test_a_full_disk_between_the_two_renames_puts_the_last_one_back(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace, calls = tmp_path / "c", os.replace, []

    def second_fails(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 2:
            no_space_left()
        replace(source, target)

    train(problem(), path, 2)
    kept = path.read_bytes()
    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="the checkpoint of epoch 2 is as it was"):
        train(problem(), path, 3)
    monkeypatch.undo()
    assert path.read_bytes() == kept


def test_a_full_disk_at_the_first_checkpoint_says_that_there_is_none(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", no_space_left)
    with pytest.raises(OSError, match="No space left on device; there is no checkpoint"):
        train(problem(), tmp_path / "c", 1)


def test_a_callback_that_cannot_write_says_what_is_left_too(tmp_path: pathlib.Path) -> None:
    class Diary(Callback):
        def on_epoch_end(self, training: Training) -> None:
            if training.epoch == 3:
                raise OSError(errno.EIO, "Input/output error", "diary.txt")

    with pytest.raises(OSError, match=r"error; the checkpoint of epoch 2 is as it was"):
        train(problem(), tmp_path / "c", 4, callbacks=[Diary()])


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_an_unwritable_folder_costs_no_checkpoint_and_says_so(tmp_path: pathlib.Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    path = tmp_path / "c"
    train(problem(), path, 2)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="the checkpoint of epoch 2 is as it was"):
            train(problem(), path, 3)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(find_spec("resource") is None, reason="this system has no limit on file sizes")
def test_a_limit_on_file_sizes_costs_no_checkpoint(tmp_path: pathlib.Path) -> None:
    import resource

    path = tmp_path / "c"
    train(problem(), path, 2)
    kept, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="the checkpoint of epoch 2 is as it was"):
            train(problem(), path, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == kept
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_training_left_half_written_is_removed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "c"
    train(problem(), path, 1)
    names = [_temporary(str(place)) + "0123.part" for place in (path, tmp_path / "other")]
    for name in names:
        pathlib.Path(name).write_bytes(b"half")
    train(problem(), path, 2)
    assert [os.path.exists(name) for name in names] == [False, True]


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs symbolic links")
def test_a_checkpoint_may_be_a_link_to_another_disk(tmp_path: pathlib.Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "c"
    link.symlink_to(tmp_path / "disk" / "c")
    train(problem(), link, 2)
    assert link.is_symlink()
    assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["c", "c.previous"]
    (tmp_path / "disk" / "c").unlink()
    with pytest.warns(CheckpointWarning, match="of epoch 1"):
        assert len(train(problem(), link, 2)) == 2


def test_the_same_training_gives_the_same_checkpoint(tmp_path: pathlib.Path) -> None:
    written = []
    for name in "ab":
        train(problem(), tmp_path / name, 2)
        arrays, about = read_arrays(tmp_path / name, "checkpoint")
        for row in about["history"]:
            row[5] = 0.0  # the seconds
        written.append(sealed(arrays, about))
    assert written[0] == written[1]
