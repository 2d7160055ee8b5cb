"""Augmentation: what it does to images, and that a training with it can be resumed."""

import hashlib
import pathlib
from typing import Any

import numpy as np
import pytest
from forked import needs_kill, run_until_killed

import miniflow as mf
from miniflow.datasets import Dataset, augmentation
from miniflow.datasets.augmentation import augmented, warped
from miniflow.errors import DataError
from miniflow.options import OptionError
from miniflow.training.callbacks import Callback

STAYS = np.array([[[1.0, 0, 0], [0, 1, 0]]])


def images(n: int = 1, height: int = 6, width: int = 5, channels: int = 1) -> Any:
    return np.random.default_rng(0).random((n, height, width, channels)).astype(np.float32)


def by_hand(image: Any, affine: Any) -> Any:
    """One image seen through one map, pixel by pixel."""
    height, width, channels = image.shape
    wide = np.zeros((height + 40, width + 40, channels))
    wide[20:-20, 20:-20] = image
    result = np.zeros((height, width, channels))
    for v in range(height):
        for u in range(width):
            y, x = affine @ np.array([v - (height - 1) / 2, u - (width - 1) / 2, 1])
            y, x = y + (height - 1) / 2 + 20, x + (width - 1) / 2 + 20
            i, j = int(y), int(x)
            p, q = y - i, x - j
            upper = (1 - q) * wide[i, j] + q * wide[i, j + 1]
            lower = (1 - q) * wide[i + 1, j] + q * wide[i + 1, j + 1]
            result[v, u] = (1 - p) * upper + p * lower
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(6, 5), (5, 9)])
def test_images_are_seen_as_pixel_by_pixel(size: Any, channels: int) -> None:
    stack = images(20, *size, channels)
    rng = np.random.default_rng(1)
    maps = STAYS + rng.normal(0, 0.3, (20, 2, 3)) * [1, 1, 5]
    seen = warped(stack, maps)
    assert seen.dtype == np.float32
    for image, affine, result in zip(stack, maps, seen, strict=True):
        assert result == pytest.approx(by_hand(image, affine), abs=1e-5)


def test_a_map_that_changes_nothing_gives_the_very_image() -> None:
    assert (warped(images(), STAYS) == images()).all()


def test_a_move_by_whole_pixels_is_exact_and_brings_in_zeros() -> None:
    moved = warped(images(), STAYS + np.array([[0, 0, 2.0], [0, 0, -1.0]]))
    assert (moved[:, :-2, 1:] == images()[:, 2:, :-1]).all()
    assert (moved[:, -2:] == 0).all()
    assert (moved[:, :, 0] == 0).all()


def test_what_comes_from_far_outside_is_zero() -> None:
    assert (warped(images(), STAYS + np.array([[0, 0, 1e6], [0, 0, -1e6]])) == 0).all()


def test_values_stay_between_the_least_and_the_largest() -> None:
    [(varied, _)] = augmented(Dataset(images(40), np.zeros(40, int))).batches(40, 0)
    assert varied.min() >= 0
    assert varied.max() <= images(40).max() * (1 + 1e-6)


@pytest.mark.parametrize("option", ["shift", "rotate", "scale"])
def test_each_limit_does_its_own(option: str) -> None:
    spot = np.zeros((500, 41, 41), np.float32)
    spot[:, 20, 30] = 1.0  # ten pixels to the right of the centre
    limits = {"shift": 0.0, "rotate": 0.0, "scale": 0.0}
    limits[option] = {"shift": 3.0, "rotate": 30.0, "scale": 0.2}[option]
    [(varied, _)] = augmented(Dataset(spot, np.arange(500)), **limits).batches(500, 0)
    weights = varied / varied.sum(axis=(1, 2), keepdims=True)
    v, u = (np.arange(41) - 20.0)[:, None], np.arange(41) - 20.0
    y, x = (weights * v).sum(axis=(1, 2)), (weights * u).sum(axis=(1, 2))
    radius, angle = np.hypot(y, x), np.degrees(np.arctan2(y, x))
    if option == "shift":
        assert 2.8 < abs(y).max() < 3.3
        assert 2.8 < abs(x - 10).max() < 3.3
    elif option == "rotate":
        assert radius == pytest.approx(np.full(500, 10), abs=0.3)
        assert 28 < abs(angle).max() < 31.5
    else:
        assert abs(angle).max() < 1.5
        assert 11.7 < radius.max() < 12.3
        assert 8.0 < radius.min() < 8.7


def test_the_same_generator_gives_the_same_images_and_each_pass_others() -> None:
    data = augmented(Dataset(images(30), np.arange(30)))
    rng = np.random.default_rng(3)
    first, second = (list(data.batches(8, rng)) for _ in range(2))
    again = list(data.batches(8, 3))
    assert [labels.tolist() for _, labels in first] == [labels.tolist() for _, labels in again]
    for (mine, _), (same, _) in zip(first, again, strict=True):
        assert (mine == same).all()
    labels = np.concatenate([labels for _, labels in second])
    varied = np.concatenate([batch for batch, _ in second])[np.argsort(labels)]
    before = np.concatenate([labels for _, labels in first])
    assert sorted(labels) == sorted(before) == list(range(30))
    assert (np.concatenate([batch for batch, _ in first])[np.argsort(before)] != varied).any()


def test_a_variant_is_the_same_to_the_bit_on_every_machine() -> None:
    pixels = (np.arange(4 * 36) * 29 % 97 / np.float32(97)).astype(np.float32).reshape(4, 6, 6)
    data = augmented(Dataset(pixels, range(4)), shift=1.5, rotate=100.0, scale=0.4)
    varied = data._vary(data.images, np.random.default_rng(2))
    assert hashlib.sha256(varied.astype("<f4").tobytes()).hexdigest()[:16] == "93ff7c94a844ce62"


@pytest.mark.parametrize("name", ["exponential", "cosine and sine"])
def test_functions_of_plus_and_times_alone_are_right(name: str) -> None:
    if name == "exponential":
        x = np.linspace(-3, 3, 1001)
        np.testing.assert_allclose(augmentation._exponential(x), np.exp(x), rtol=3e-14)
        return
    degrees = np.concatenate([np.linspace(-800, 800, 1601), [45, -45, 90, 180, -270, 0]])
    cosine, sine = augmentation._cosine_and_sine(degrees)
    np.testing.assert_allclose(cosine, np.cos(np.deg2rad(degrees)), atol=3e-15)
    np.testing.assert_allclose(sine, np.sin(np.deg2rad(degrees)), atol=3e-15)


def test_without_a_generator_images_come_as_they_are() -> None:
    plain = Dataset(images(10), np.arange(10))
    data = augmented(plain)
    for (mine, labels), (same, theirs) in zip(data.batches(4), plain.batches(4), strict=True):
        assert (mine == same).all()
        assert (labels == theirs).all()
    assert len(data) == 10
    assert (data.images == plain.images).all()
    assert (data.labels == plain.labels).all()


@pytest.mark.parametrize("dtype", [np.int64, np.int16, bool])
def test_whole_numbers_are_varied_as_fractions_are(dtype: type) -> None:
    whole = (images(5) > 0.5).astype(dtype)
    [(mine, _)] = augmented(Dataset(whole)).batches(5, 0)
    [(theirs, _)] = augmented(Dataset(whole.astype(np.float32))).batches(5, 0)
    assert (mine == theirs).all()


def test_rows_are_images_if_they_make_a_square_or_their_shape_is_given() -> None:
    square = Dataset(images(4, 6, 6).reshape(4, 36), np.arange(4))
    assert augmented(square).image_shape == (6, 6, 1)
    flat = Dataset(images(4, 6, 5).reshape(4, 30), np.arange(4))
    with pytest.raises(DataError, match=r"30 numbers make no image of shape \(30,\)"):
        augmented(flat)
    data = augmented(flat, image_shape=(6, 5))
    [(varied, _)] = data.batches(4, 0)
    assert varied.shape == (4, 30)
    with pytest.raises(DataError, match="make no image"):
        augmented(flat, image_shape=(6, 6))
    with pytest.raises(OptionError, match="rotate is a number of at least 0"):
        augmented(square, rotate=-3)


# --- in a training


def train(epochs: int, **options: Any) -> bytes:
    X, y, seed = mf.layers.Input((6, 6), name="X"), mf.Input("y"), mf.Seed()
    network = mf.layers.Sequential(
        [
            mf.layers.Flatten(),
            mf.layers.Dense(8, "relu"),
            mf.layers.Dropout(0.3, seed),
            mf.layers.Dense(3),
        ],
        rng=0,
    )
    loss = mf.CrossEntropyWithSoftmax(network(X), y)
    data = augmented(Dataset(images(90, 6, 6)[..., 0], np.arange(90) % 3))
    settings = {"rng": 4, "batch_size": 16, "progress": "none", "backend": "numpy"}
    optimizer = mf.SGD(0.1, momentum=0.9)
    mf.fit(loss, data, optimizer, epochs=epochs, validation=data, **settings | options)
    return b"".join(parameter.value.tobytes() for parameter in network.parameters.values())


def test_validation_sees_the_images_as_they_are() -> None:
    X, y = mf.layers.Input((6, 6), name="X"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(mf.layers.Dense(3, rng=0)(mf.Flatten(X)), y)
    plain = Dataset(images(60, 6, 6)[..., 0], np.arange(60) % 3)
    history = mf.fit(
        loss, augmented(plain), mf.SGD(0.0), epochs=1, validation=augmented(plain), progress="none"
    )
    seen = mf.evaluate(loss, plain).loss
    assert history[0].validation_loss == pytest.approx(seen, rel=1e-6)
    assert history[0].loss != pytest.approx(seen, rel=1e-4)


SCRIPT = """
import os, signal, sys
import test_augmentation
from miniflow.training.callbacks import Callback

class Kill(Callback):
    def on_batch_end(self, training):
        if training.epoch == 2 and training.rows_done == 48:
            os.kill(os.getpid(), signal.SIGKILL)

test_augmentation.train(4, checkpoint=sys.argv[1], callbacks=[Kill()])
"""


@needs_kill
def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "checkpoint"
    run_until_killed(SCRIPT, pathlib.Path(__file__).parent, path)
    resumed = train(4, checkpoint=path, resume=True, rng=99)
    assert resumed == train(4)


def test_two_and_two_epochs_are_four(tmp_path: pathlib.Path) -> None:
    class Watch(Callback):
        """Does nothing, and is no part of the checkpoint."""

    train(2, checkpoint=tmp_path / "c", callbacks=[Watch()])
    assert train(4, checkpoint=tmp_path / "c", resume=True, rng=1) == train(4)


def test_whole_numbers_are_interpolated_as_their_floats_are() -> None:
    pixels = np.arange(25).reshape(1, 5, 5) * 10
    options = {"shift": 0.9, "rotate": 0, "scale": 0}
    seen, expected = (
        next(augmented(Dataset(given, [0]), **options).batches(1, rng=0))[0]
        for given in (pixels, pixels.astype(np.float32))
    )
    assert seen.dtype == np.float32
    assert np.array_equal(seen, expected)


def test_what_is_no_data_set_is_refused_with_a_hint() -> None:
    with pytest.raises(DataError, match=r"augmented: data is a data set, not .*its \.train\?"):
        augmented(mf.datasets.mnist())  # type: ignore[arg-type]
