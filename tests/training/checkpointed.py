"""What the tests of checkpoints share: a training that writes one, and its history,
and how one is refused.
"""

import pathlib
from typing import Any

import pytest
from blobs import Problem, problem

from miniflow.errors import ModelFileError
from miniflow.optimizers import Adam
from miniflow.schedules import CosineDecay
from miniflow.training import fit
from miniflow.training.callbacks import KeepBest
from miniflow.training.history import History


def train(p: Problem, path: Any, epochs: int, **options: Any) -> History:
    """Some epochs, with a checkpoint at `path`, on from there if it exists."""
    settings: dict[str, Any] = {
        "optimizer": Adam(CosineDecay(0.05, steps=30)),
        "batch_size": 16,
        "validation": p.validation,
        "callbacks": [KeepBest("validation_loss")],
        "rng": 3,
        "progress": "none",
    }
    settings.update(options)
    return fit(p.loss, p.data, epochs=epochs, checkpoint=path, resume=True, **settings)


def without_seconds(history: History) -> list[Any]:
    return [row._replace(seconds=0.0) for row in history]


def refusal(path: pathlib.Path, p: Problem | None = None, **options: Any) -> str:
    """The message with which a training refuses a checkpoint, and is left as it was."""
    p = p or problem()
    before = p.bytes()
    with pytest.raises(ModelFileError) as caught:
        train(p, path, 4, **options)
    assert p.bytes() == before
    return str(caught.value)
