"""The table that a training leaves."""

import csv
import io
import pathlib

import pytest

from miniflow.training.history import COLUMNS, Epoch, History

ROWS = [
    Epoch(1, 0.1 + 0.2, 0.5, 1 / 3, None, 1.5, 0.1),
    Epoch(2, 0.25, None, None, None, 2.0, 1e-05),
]


def test_a_history_is_a_sequence_of_epochs() -> None:
    history = History(ROWS)
    assert list(history) == ROWS
    assert history[-1] is ROWS[-1]
    assert history[:1] == ROWS[:1]
    assert len(history) == 2
    with pytest.raises(TypeError):
        history[0] = ROWS[1]  # type: ignore[index]


def test_csv_has_every_digit_and_leaves_what_is_unknown_empty(tmp_path: pathlib.Path) -> None:
    History(ROWS).to_csv(tmp_path / "history.csv")
    text = (tmp_path / "history.csv").read_text()
    first, second = csv.DictReader(io.StringIO(text))
    assert list(first) == list(COLUMNS)
    assert float(first["loss"]) == 0.1 + 0.2
    assert float(first["validation_loss"]) == 1 / 3
    assert first["validation_accuracy"] == second["accuracy"] == ""
    assert float(second["learning_rate"]) == 1e-05
