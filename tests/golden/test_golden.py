"""Files that people have on their disks: models of every version predict, checkpoints go on."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from golden.graphs import CASES, EPOCHS, rows
from golden.make_golden import pictures

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


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_checkpoint_of_every_version_goes_on(version: str, name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    file = shutil.copy(HERE / version / f"{name}.checkpoint", tmp_path / "run.checkpoint")
    history = mf.fit(
        case.loss, case.data, epochs=2 * EPOCHS, checkpoint=file, resume=True,
        progress="none", **case.options,
    )  # fmt: skip
    assert len(history) == 2 * EPOCHS
    for parameter in case.parameters:
        trained = expected(version)[f"{name}.{parameter.name}"]
        np.testing.assert_allclose(parameter.value, trained, **TOLERANCE)
