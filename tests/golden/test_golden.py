"""Files that people have on their disks: models of every version predict, checkpoints go on."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from golden.graphs import CASES, EPOCHS, Case, rows
from golden.make_golden import pictures
from miniflow.training.changes import RandomNumbersWarning

HERE = Path(__file__).parent
VERSIONS = sorted(folder.name for folder in HERE.iterdir() if (folder / "expected.npz").exists())

# The same arithmetic on another processor: another BLAS adds up in another order.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def expected(version: str) -> dict[str, Any]:
    return dict(np.load(HERE / version / "expected.npz"))


def test_there_are_golden_files_of_the_first_version() -> None:
    assert "0.1.0" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["mlp", "digits"])
def test_a_model_of_every_version_predicts(version: str, name: str) -> None:
    model = mf.load(HERE / version / f"{name}.safetensors")
    images = rows()[0] if name == "mlp" else pictures()
    np.testing.assert_allclose(model(images), expected(version)[name], **TOLERANCE)


DREW_OTHER_NUMBERS = [("0.1.0", "adam_with_dropout")]  # than a training draws now


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_checkpoint_of_every_version_goes_on(version: str, name: str, tmp_path: Path) -> None:
    if (version, name) in DREW_OTHER_NUMBERS:
        with pytest.warns(RandomNumbersWarning, match="whose Dropout drew other random numbers"):
            case = gone_on(version, name, tmp_path)
    else:
        case = gone_on(version, name, tmp_path)  # a warning would be an error
    for parameter in case.parameters:
        trained = expected(version)[f"{name}.{parameter.name}"]
        is_same = np.allclose(parameter.value, trained, **TOLERANCE)
        assert is_same == ((version, name) not in DREW_OTHER_NUMBERS)


@pytest.mark.parametrize(("version", "name"), DREW_OTHER_NUMBERS)
def test_what_is_told_once_goes_on_to_the_same_bits_from_then_on(
    version: str, name: str, tmp_path: Path
) -> None:
    with pytest.warns(RandomNumbersWarning):
        once = gone_on(version, name, tmp_path)
    with pytest.warns(RandomNumbersWarning):
        gone_on(version, name, tmp_path, epochs=EPOCHS + 1)
    assert np.mean(mf.evaluate(once.loss, once.data).loss) < 0.5
    twice = gone_on(version, name, tmp_path, file=tmp_path / "run.checkpoint")  # silently
    for one, other in zip(once.parameters, twice.parameters, strict=True):
        assert np.array_equal(one.value, other.value)


def gone_on(
    version: str, name: str, folder: Path, epochs: int = 2 * EPOCHS, file: Path | None = None
) -> Case:
    """A case that was trained on from its golden checkpoint, or from another."""
    case = CASES[name]()
    if file is None:
        file = shutil.copy(HERE / version / f"{name}.checkpoint", folder / "run.checkpoint")
    history = mf.fit(
        case.loss, case.data, epochs=epochs, checkpoint=file, resume=True,
        progress="none", **case.options,
    )  # fmt: skip
    assert len(history) == epochs
    return case
