"""`miniflow train` that goes on: after Ctrl-C, with `--resume`, and with what a run has left."""

import errno
import json
import os
import pathlib
import re
from typing import Any

import pytest
from runs_of_train import FILES, QUICK, command, interrupt_after, last_line

from miniflow.files.atomic import _temporary

# --- going on


def test_ctrl_c_saves_the_best_model_and_says_how_to_go_on(
    miniflow: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = miniflow("train", *QUICK, "--epochs", 4, "--out", "straight")
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        stopped = miniflow("train", *QUICK, "--epochs", 4, "--out", "stopped")
    assert stopped.exit_code == 130
    assert "miniflow train --resume --out stopped" in stopped.stderr
    assert miniflow("evaluate", "--model", "stopped").exit_code == 0
    resumed = miniflow("train", "--resume", "--out", "stopped")
    assert resumed.exit_code == 0
    assert "Going on after epoch 2." in resumed.stdout
    assert last_line(resumed) == last_line(straight)
    model, same = (folder / name / "model.safetensors" for name in ("stopped", "straight"))
    assert model.read_bytes() == same.read_bytes()


def test_ctrl_c_in_the_first_epoch_leaves_a_model_too(
    miniflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(0, patch)
        assert miniflow("train", *QUICK, "--out", "early").exit_code == 130
    assert miniflow("evaluate", "--model", "early").exit_code == 0
    assert miniflow("train", "--resume", "--epochs", 8, "--out", "early").exit_code == 0


def test_resume_on_a_missing_folder_starts_afresh(miniflow: Any, folder: pathlib.Path) -> None:
    assert miniflow("train", *QUICK, "--epochs", 1, "--out", "new", "--resume").exit_code == 0
    assert (folder / "new" / "model.safetensors").exists()


def test_resume_on_a_finished_run_says_so(miniflow: Any, folder: pathlib.Path) -> None:
    first = miniflow("train", *QUICK, "--epochs", 2, "--out", "done")
    model = (folder / "done" / "model.safetensors").read_bytes()
    again = miniflow("train", "--resume", "--out", "done")
    assert again.exit_code == 0
    assert "done is finished: 2 epochs are done." in again.stdout
    assert last_line(again) == last_line(first)
    assert (folder / "done" / "model.safetensors").read_bytes() == model


def test_resume_without_a_folder_takes_the_last_run(miniflow: Any, folder: pathlib.Path) -> None:
    for _ in range(2):
        miniflow("train", *QUICK, "--epochs", 1)
    result = miniflow("train", *QUICK, "--resume")
    assert "bars-784-8-2-2 is finished" in result.stdout
    assert len(list((folder / "runs").iterdir())) == 2


def test_a_folder_that_is_no_run_is_left_alone(miniflow: Any, folder: pathlib.Path) -> None:
    foreign = folder / "runs" / "bars-784-8-2" / "model.safetensors"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"precious")
    assert miniflow("train", *QUICK, "--epochs", 1, "--resume").exit_code == 0
    assert foreign.read_bytes() == b"precious"
    assert (folder / "runs" / "bars-784-8-2-2" / "model.safetensors").exists()


def test_resume_with_other_options_is_refused(miniflow: Any) -> None:
    miniflow("train", *QUICK, "--epochs", 1, "--out", "run")
    result = miniflow("train", "--resume", "--out", "run", "--lr", 0.5)
    assert result.exit_code == 1
    assert "started with --lr 0.1 and can only be resumed with that" in result.stderr
    result = miniflow("train", "--resume", "--out", "run", "--batch-size", 8)
    assert "started with --batch-size 16" in result.stderr
    result = miniflow("train", "--resume", "--out", "run", "--backend", "interpreter")
    assert "started with --backend auto" in result.stderr


def test_a_resumed_run_keeps_its_backend(miniflow: Any, folder: pathlib.Path) -> None:
    arguments = [*QUICK, "--epochs", 2, "--backend", "interpreter", "--out", "run"]
    result = miniflow("train", *arguments)
    assert "backend  interpreter" in result.stdout
    assert json.loads((folder / "run" / "run.json").read_text())["backend"] == "interpreter"
    again = miniflow("train", "--resume", "--out", "run")
    assert again.exit_code == 0
    assert last_line(again) == last_line(result)


def test_a_damaged_run_json_is_told(miniflow: Any, folder: pathlib.Path) -> None:
    miniflow("train", *QUICK, "--epochs", 1, "--out", "run")
    for text in ("{", "[]", json.dumps({"model": "mlp"})):
        (folder / "run" / "run.json").write_text(text)
        result = miniflow("train", "--resume", "--out", "run")
        assert result.exit_code == 1
        assert "run.json: is damaged" in result.stderr


MAKE_NO_SENSE = [
    ("optimizer", "linear", "There is no optimizer 'linear'"),
    ("batch_size", 0, "run.json: is damaged: The run: batch_size"),
    ("seed", -1, "run.json: is damaged: The run: seed"),
    ("epochs", -1, "run.json: is damaged: The run: epochs"),
    ("epochs", 1e400, "run.json: is damaged"),
    ("lr", -1.0, "lr"),
    ("lr", float("nan"), "lr"),
    ("backend", "gpu", "backend is one of"),
    ("model", "784-2\x1b[1m", "There is no model"),
    ("data", "\0", "source is the name of a file, not '\\x00'"),
]


def test_options_that_make_no_sense_in_run_json_are_told(
    miniflow: Any, folder: pathlib.Path
) -> None:
    miniflow("train", *QUICK, "--epochs", 1, "--out", "run")
    path = folder / "run" / "run.json"
    right = json.loads(path.read_text())
    for option, value, message in MAKE_NO_SENSE:
        path.write_text(json.dumps(right | {option: value}))
        result = miniflow("train", "--resume", "--out", "run")
        assert result.exit_code == 1, option
        assert message in result.stderr
        assert "\x1b" not in result.stderr


@pytest.mark.breadth("failing")
@pytest.mark.parametrize("failing", ["checkpoint.safetensors", "history.csv", "model.safetensors"])
def test_a_full_disk_is_told_with_the_checkpoint_that_is_left(
    failing: str, miniflow: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = miniflow("train", *QUICK, "--epochs", 4, "--out", "straight")
    replace, written = os.replace, []

    def third_time_full(source: Any, target: Any) -> None:
        written.append(pathlib.Path(target).name)
        if written.count(failing) == (3 if failing != "model.safetensors" else 1):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", third_time_full)
        stopped = miniflow("train", *QUICK, "--epochs", 4, "--out", "run")
    assert stopped.exit_code == 1
    left = {"model.safetensors": "there is no checkpoint"}.get(
        failing, "the checkpoint of epoch 2 is as it was"
    )
    path = os.path.join("run", failing)
    assert stopped.stderr == f"error: {path}: No space left on device; {left}.\n"
    resumed = miniflow("train", "--resume", "--out", "run")
    assert resumed.exit_code == 0
    assert last_line(resumed) == last_line(straight)
    models = [(folder / name / "model.safetensors").read_bytes() for name in ("run", "straight")]
    assert models[0] == models[1]


@pytest.mark.slow
def test_a_damaged_checkpoint_is_told_in_a_line_and_the_one_before_is_used(
    miniflow: Any, folder: pathlib.Path
) -> None:
    straight = miniflow("train", *QUICK, "--epochs", 3, "--out", "run")
    checkpoint = folder / "run" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    result = command("train", "--resume", "--out", "run", cwd=folder)
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert re.fullmatch(
        r"warning: .*checkpoint\.safetensors: is damaged.* of epoch 2, is used\.", line
    )
    assert "Going on after epoch 2." in result.stdout
    assert last_line(result) == last_line(straight)


def test_what_a_killed_run_left_half_written_is_removed(
    miniflow: Any, folder: pathlib.Path
) -> None:
    miniflow("train", *QUICK, "--epochs", 1, "--out", "run")
    for name in ("model.safetensors", "checkpoint.safetensors", "history.csv"):
        pathlib.Path(f"{_temporary(str(folder / 'run' / name))}ab.part").write_bytes(b"half")
    miniflow("train", "--resume", "--out", "run")
    assert {path.name for path in (folder / "run").iterdir()} <= FILES
