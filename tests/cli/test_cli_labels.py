"""`miniflow` on labels that are not 0 to k - 1: as many outputs as classes, with their names."""

import json
import pathlib
import warnings
from typing import Any

import numpy as np
import pytest

from miniflow.datasets.splits import DataWarning

QUICK = ["--model", "linear", "--epochs", 8, "--batch-size", 8, "--lr", 0.5]


def write_shades(path: pathlib.Path, labels: list[int]) -> None:
    """Images of one grey each, the lighter the later in the list of labels."""
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(labels), 400)
    images = np.zeros((400, 28, 28), np.uint8)
    images[np.arange(400), 4 * places] = 255
    np.savez(path, images=images, labels=np.array(labels)[places])


@pytest.mark.parametrize("labels", [[1, 2, 3], [0, 10**8], [2, 4, 6, 8]])
def test_as_many_outputs_as_classes(miniflow: Any, folder: pathlib.Path, labels: list[int]) -> None:
    write_shades(folder / "shades.npz", labels)
    with pytest.warns(DataWarning, match="which keep these numbers as their names"):
        trained = miniflow("train", "--data", "shades.npz", *QUICK, "--out", "run")
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.rstrip().endswith("test accuracy: 1.0000")
    names = ", ".join(map(str, labels))
    assert f"classes    {names}" in miniflow("info", "run").stdout


def test_a_part_of_the_classes_is_evaluated_by_their_names(
    miniflow: Any, folder: pathlib.Path
) -> None:
    write_shades(folder / "all.npz", [0, 1, 2, 3])
    miniflow("train", "--data", "all.npz", *QUICK, "--out", "run")
    arrays = dict(np.load(folder / "all.npz"))
    few = np.isin(arrays["labels"], [1, 3])
    np.savez(folder / "few.npz", **{name: array[few] for name, array in arrays.items()})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        evaluated = miniflow("evaluate", "--model", "run", "--data", "few.npz")
    assert "not 0 to 1 but 1, 3" in str(told[0].message)
    assert "test accuracy: 1.0000" in evaluated.stdout


def test_a_picture_is_shown_with_the_name_of_its_class(miniflow: Any, folder: pathlib.Path) -> None:
    Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    write_shades(folder / "shades.npz", [5, 7])
    with pytest.warns(DataWarning):
        miniflow("train", "--data", "shades.npz", *QUICK, "--out", "run")
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save("picture.png")
    (shown,) = json.loads(miniflow("predict", "--model", "run", "--json", "picture.png").stdout)
    assert shown["names"] == ["5", "7"]
