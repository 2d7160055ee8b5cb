"""`miniflow train --model gpt` and `char-rnn`, and `miniflow generate`."""

import pathlib
from typing import Any

import numpy as np
import pytest

from miniflow.cli.runs import Options
from miniflow.cli.train import OWN_DEFAULTS
from miniflow.cli.train_callbacks import Notes
from miniflow.cli.writers import attention_of, build_writer, read_text
from miniflow.datasets.alphabet import triples
from miniflow.errors import DataError
from miniflow.layers import GPT, CharRNN

SOUNDS = [a + b + c for a in "bdm" for b in "aeio" for c in ("", "n", "ra", "li")]
FILES = {
    *("run.json", "model.safetensors", "history.csv", "learning_curve.png", "report.html"),
    *("checkpoint.safetensors", "checkpoint.previous.safetensors"),
}


@pytest.fixture
def text(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Some lines to learn from, and networks that are small enough for a test."""

    def gpt(letters: str, context: int, rng: Any) -> GPT:
        return GPT(letters, context=context, units=8, heads=2, depth=1, rng=rng)

    monkeypatch.setattr("miniflow.cli.writers.make_gpt", gpt)
    monkeypatch.setattr(
        "miniflow.cli.writers.make_rnn", lambda letters, rng: CharRNN(letters, units=16, rng=rng)
    )
    monkeypatch.setattr("miniflow.cli.writers.SHAPES", 1)
    path = folder / "sounds.txt"
    path.write_text("\n".join(SOUNDS), encoding="utf-8")
    return path


TRAIN = ("train", "--data", "sounds.txt", "--batch-size", 39, "--backend", "numpy")


@pytest.mark.parametrize("model", ["gpt", pytest.param("char-rnn", marks=pytest.mark.slow)])
def test_a_run_ends_with_its_loss_and_writes(
    model: str, miniflow: Any, text: pathlib.Path, folder: pathlib.Path
) -> None:
    result = miniflow(*TRAIN, "--model", model, "--epochs", 2)
    assert result.exit_code == 0, result.output
    last = result.stdout.splitlines()[-1]
    assert last.startswith("test loss: ")
    assert "like guessing among" in last
    run = folder / "runs" / f"sounds-{model}"
    pictures = {"attention.png"} if model == "gpt" else set()
    assert {path.name for path in run.iterdir()} == FILES | pictures
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "What the loss means" in report
    assert report.count("<tr>") == 3  # a heading, and lines after each epoch
    wrote = miniflow("generate", run, "--prompt", "ba", "-n", 7, "--seed", 3)
    assert wrote.exit_code == 0, wrote.output
    assert len(wrote.stdout.splitlines()) == 7
    assert all(line.startswith("ba") for line in wrote.stdout.splitlines())
    assert wrote.stderr == ""
    assert miniflow("generate", run, "--prompt", "ba", "-n", 7, "--seed", 3).stdout == wrote.stdout
    assert len(miniflow("generate", run / "model.safetensors").stdout.splitlines()) == 10


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gpt", "char-rnn"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    model: str, miniflow: Any, text: pathlib.Path, folder: pathlib.Path
) -> None:
    options = (*TRAIN, "--model", model, "--epochs", 4)
    miniflow(*options, "--out", "whole")

    def stop_after_two(self: Any, training: Any) -> None:
        if training.epoch == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Notes, "on_epoch_end", stop_after_two)
        stopped = miniflow(*options, "--out", "stopped")
    assert stopped.exit_code == 130
    assert "to go on" in stopped.stderr
    assert miniflow("generate", "stopped", "-n", 1).exit_code == 0
    result = miniflow("train", "--resume", "--out", "stopped")
    assert result.exit_code == 0, result.output
    assert "Going on after epoch" in result.stdout
    whole, gone_on = (folder / name / "model.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == gone_on.read_bytes()
    reports = [
        (folder / n / "report.html").read_text(encoding="utf-8") for n in ("whole", "stopped")
    ]
    assert reports[0].replace("whole", "").count("<tr>") == reports[1].count("<tr>") == 5


@pytest.mark.slow
def test_what_cannot_be_written_is_one_sentence(
    miniflow: Any, text: pathlib.Path, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    assert miniflow(*TRAIN, "--model", "gpt", "--epochs", 1).exit_code == 0
    run = folder / "runs" / "sounds-gpt"
    calls = {
        ("generate", run, "--prompt", "bäd"): "has 'ä', which the network never saw in training",
        ("generate", run, "-n", 0): "-n is how many lines are written, 1 or more, not 0.",
        ("generate", run, "--temperature", -1): "temperature is a number of at least 0",
        ("generate", run, "--top-k", 0): "top_k is a whole number of at least 1",
        ("generate", run, "--prompt", "ba" * 20): "the prompt has 40 letters",
        ("generate", trained): "is a run of --model linear; only gpt and char-rnn write",
        ("generate", "digits"): "only gpt and char-rnn write",
        ("generate", "nowhere"): "nowhere",
        ("evaluate", "--model", run): "is a network that writes",
        ("predict", "--model", run, "three.png"): "is a network that writes",
        ("train", "--data", "names", "--model", "mlp"): "--model gpt and --model char-rnn learn",
        (*TRAIN, "--model", "gpt", "--augment", "--out", "other"): "--augment is not for gpt",
        ("train", "--model", "gpt", "--data", "bars.npz"): "is no text",
        ("train", "--model", "gpt", "--data", "nowhere.txt"): "nowhere.txt",
    }
    for call, told in calls.items():
        result = miniflow(*call)
        assert result.exit_code == 1, call
        assert told in result.stderr, (call, result.stderr)
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert result.stdout == ""


def test_long_lines_are_cut_and_strange_letters_left_out(folder: pathlib.Path) -> None:
    lines = [*["ab" * 100] * 20, *["abc"] * 200, "xb"]
    (folder / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    text = read_text(Options(model="gpt", data="lines.txt", optimizer="adam"))
    long = [line for line in (*text.train, *text.validation, *text.test) if len(line) > 5]
    assert text.context == 128
    assert [len(line) for line in long] == [129] * 20
    assert text.left_out + sum(map(len, (text.train, text.validation, text.test))) == 221
    (folder / "unlike.txt").write_text("\n".join(map(chr, range(200, 230))), encoding="utf-8")
    with pytest.raises(DataError, match="each line has letters of its own"):
        read_text(Options(model="gpt", data="unlike.txt"))


def test_attention_is_a_share_for_each_letter_before(folder: pathlib.Path) -> None:
    text = read_text(Options(**{"model": "gpt", "lr": 0.1, **OWN_DEFAULTS["gpt"]}))
    assert (len(text.train), text.context, len(text.alphabet.letters)) == (25_920, 16, 26)
    network = build_writer(Options(model="gpt"), text, np.random.default_rng(0))
    assert 190_000 < network.parameter_count() < 210_000
    maps = attention_of(network, "anna")
    assert [m.shape for m in maps] == [(4, 5, 5)] * 4
    for of_block in maps:
        np.testing.assert_allclose(of_block.sum(axis=-1), 1, rtol=1e-5)
        assert (of_block[:, ~np.tri(5, dtype=bool)] == 0).all()


def test_letters_in_threes_tell_lines_of_a_kind_from_others() -> None:
    known = triples(SOUNDS)
    assert triples(["bara"]) <= known
    assert not triples(["aabb"]) & known


@pytest.mark.slow
@pytest.mark.rare  # a minute and more
def test_names_of_the_default_network_are_like_names_and_mostly_new(
    miniflow: Any, folder: pathlib.Path
) -> None:
    assert miniflow("train", "--model", "gpt", "--out", "run").exit_code == 0
    result = miniflow("generate", "run", "-n", 1000, "--seed", 0)
    lines = result.stdout.splitlines()
    assert len(lines) == 1000
    train = read_text(Options(model="gpt", data="names", optimizer="adam")).train
    letters = "." + "abcdefghijklmnopqrstuvwxyz"
    names = ["".join(letters[i] for i in line[1:-1]) for line in train]
    known = triples(names)
    written = [f".{line}."[i : i + 3] for line in lines for i in range(len(line))]
    assert sum(one in known for one in written) / len(written) >= 0.95
    known_names = set(names)
    assert sum(line not in known_names for line in lines) > 500
