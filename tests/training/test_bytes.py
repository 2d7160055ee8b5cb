"""Bytes are pixels where something says so, a data set or a model file, and elsewhere numbers."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import COMPARE, RUN, names
from miniflow.datasets import Dataset
from miniflow.graph.pixels import PixelWarning
from miniflow.shipped import DIGITS_FILE

BYTES = np.random.default_rng(0).integers(0, 256, (200, 4)).astype(np.uint8)
LABELS = (BYTES[:, 0] > 128).astype(np.int64)
BACKENDS = ["interpreter", *names(RUN)]
every_backend = pytest.mark.parametrize("backend", BACKENDS)


class Small:
    """A linear classifier of four pixels."""

    def __init__(self, scaled: bool = False) -> None:
        self.X, self.y = mf.Input("X"), mf.Input("y")
        self.W = mf.Parameter(np.zeros((4, 2), np.float32), "W")
        x = self.X / np.float32(255) if scaled else self.X
        self.loss = mf.CrossEntropyWithSoftmax(x @ self.W, self.y)

    def fit(self, data: Any, backend: str = "numpy", lr: float = 0.1) -> float:
        history = mf.fit(
            self.loss, data, mf.SGD(lr), epochs=2, rng=0, progress="none", backend=backend
        )
        return float(history[-1].loss)


def without_a_word(call: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call()


# --- A data set says so


@every_backend
def test_bytes_of_a_data_set_are_fractions_for_fit_evaluate_and_validation(backend: str) -> None:
    one, other = Small(), Small()
    fractions = BYTES / np.float32(255)
    data = Dataset(BYTES, LABELS)
    assert without_a_word(lambda: one.fit(data, backend)) == other.fit(
        Dataset(fractions, LABELS), backend
    )
    assert np.array_equal(one.W.value, other.W.value)
    assert mf.evaluate(one.loss, data) == mf.evaluate(
        other.loss, {other.X: fractions, other.y: LABELS}
    )


# --- Nothing says so in a dictionary or a function


@every_backend
def test_bytes_of_a_dictionary_or_a_function_are_numbers_and_that_is_told_once(
    backend: str,
) -> None:
    def batches_of(images: Any) -> Any:
        return lambda: iter([(images[:100], LABELS[:100]), (images[100:], LABELS[100:])])

    floats = BYTES.astype(np.float32)
    for give in (
        lambda small, images: {small.X: images, small.y: LABELS},
        lambda small, images: batches_of(images),
        lambda small, images: lambda: iter([{small.X: images, small.y: LABELS}]),
    ):
        one, other = Small(), Small()
        with pytest.warns(PixelWarning) as told:
            seen = one.fit(give(one, BYTES), backend, lr=1e-5)
        assert len(told) == 1
        assert str(told[0].message) == (
            f"{one.loss.inbound_nodes[0]}: {one.X} holds bytes (uint8), which count as numbers "
            f"from 0 to 255 beside {one.W}. If they are pixels, divide them by 255, or give a "
            "mf.datasets.Dataset, which does; if not, cast them: x.astype(np.float32)."
        )
        assert told[0].filename == __file__
        assert seen == pytest.approx(other.fit(give(other, floats), backend, lr=1e-5))
        np.testing.assert_allclose(one.W.value, other.W.value, rtol=1e-5)
        without_a_word(lambda one=one, give=give: mf.evaluate(one.loss, give(one, BYTES)))


@pytest.mark.parametrize("backend", names(RUN, COMPARE))
def test_the_interpreter_and_a_compiled_step_tell_it_too(backend: str) -> None:
    for call in (
        lambda small, feed: mf.value(small.loss, feed),
        lambda small, feed: mf.value_and_grad(small.loss, feed, [small.W]),
        lambda small, feed: mf.compile(small.loss, backend=backend)(feed),
    ):
        small = Small()
        feed = {small.X: BYTES, small.y: LABELS}
        with pytest.warns(PixelWarning, match="holds bytes"):
            call(small, feed)
        without_a_word(lambda call=call, s=small, f=feed: call(s, f))


def test_to_save_a_graph_is_no_feed_and_the_next_pass_tells_it_all_the_same(tmp_path: Path) -> None:
    small = Small()
    bytes_of_a_row = {small.X: BYTES[:1]}
    path = tmp_path / "model.safetensors"
    without_a_word(lambda: mf.save(small.loss.inbound_nodes[0], path, bytes_of_a_row))
    assert mf.load(path).inputs[0].dtype == np.uint8
    without_a_word(lambda: mf.load(path)(BYTES))
    with pytest.warns(PixelWarning, match="holds bytes"):
        mf.value(small.loss, {small.X: BYTES, small.y: LABELS})


LAYERS = {
    "Linear": lambda x: mf.Linear(x, mf.Parameter(np.ones((4, 2), np.float32)), np.zeros(2, "f4")),
    "MatMul": lambda x: x @ mf.Parameter(np.ones((4, 2), np.float32)),
    "after Reshape": lambda x: mf.Reshape(x, (-1, 2)) @ mf.Parameter(np.ones((2, 2), np.float32)),
    "Mul": lambda x: x * mf.Parameter(np.ones(4, np.float32)),
    "Add": lambda x: x + mf.Parameter(np.ones(4, np.float32)),
    "Div": lambda x: x / mf.Parameter(np.ones(4, np.float32)),
    "Conv2D": lambda x: mf.Conv2D(
        mf.Reshape(x, (-1, 2, 2, 1)), mf.Parameter(np.ones((2, 2, 1, 3), np.float32))
    ),
    "LayerNorm": lambda x: mf.LayerNorm(
        x, mf.Parameter(np.ones(4, np.float32)), mf.Parameter(np.zeros(4, np.float32))
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_whatever_node_bytes_meet_weights_in_tells_it(name: str) -> None:
    x = mf.Input("x")
    with pytest.warns(PixelWarning, match=r"holds bytes \(uint8\)") as told:
        mf.value(LAYERS[name](x), {x: BYTES})
    assert len(told) == 1


@every_backend
def test_bytes_that_are_scaled_or_that_index_or_label_are_no_matter(backend: str) -> None:
    small = Small(scaled=True)
    without_a_word(lambda: small.fit({small.X: BYTES, small.y: LABELS.astype(np.uint8)}, backend))
    words, E = mf.Input("words"), mf.Parameter(np.ones((256, 2), np.float32), "E")
    loss = mf.Mean(mf.Gather(E, words) ** 2)
    without_a_word(
        lambda: mf.fit(
            loss, {words: BYTES}, mf.SGD(0.1), epochs=1, progress="none", backend=backend
        )
    )
    x = mf.Input("x")
    shifted = (x - 128) / np.float32(128) @ mf.Parameter(np.ones((4, 1), np.float32))
    without_a_word(lambda: mf.value(shifted, {x: BYTES}))


# --- A model file says so


def saved(small: Small, path: Path, **options: Any) -> mf.Model:
    mf.save(small.loss, path, inputs={small.X: np.zeros((1, 4), np.float32)}, **options)
    return mf.load(path)


def test_a_model_trained_on_bytes_takes_bytes_for_pixels(tmp_path: Path) -> None:
    small, fractions = Small(), BYTES / np.float32(255)
    small.fit(Dataset(BYTES, LABELS))
    model = saved(small, tmp_path / "m.safetensors", notes={"by": "me"})
    assert model.notes == {"by": "me", "pixels": ["X"]}
    assert np.array_equal(without_a_word(lambda: model(BYTES)), model(fractions))
    assert np.array_equal(model.predict(BYTES), model.predict(fractions))
    with pytest.warns(
        PixelWarning, match="holds pixels from 0 to 1, and was given numbers up to 25"
    ):
        model(BYTES.astype(np.float32))


def test_checkpoints_of_a_training_say_so_too(tmp_path: Path) -> None:
    small, path = Small(), tmp_path / "best.safetensors"
    best = mf.ModelCheckpoint(path)
    data = mf.augmented(Dataset(BYTES, LABELS, image_shape=(2, 2)))
    mf.fit(small.loss, data, mf.SGD(0.1), epochs=1, progress="none", callbacks=[best])
    assert mf.load(path).notes["pixels"] == ["X"]


def test_a_model_trained_on_numbers_takes_bytes_for_numbers_and_says_so(tmp_path: Path) -> None:
    small = Small()
    small.fit(Dataset(BYTES, LABELS))
    small.fit(Dataset(BYTES.astype(np.float32), LABELS), lr=1e-5)  # what was last fed counts
    model = saved(small, tmp_path / "m.safetensors")
    assert "pixels" not in model.notes
    with pytest.warns(PixelWarning, match="its file does not say that they are pixels"):
        seen = model(BYTES)
    assert np.array_equal(seen, model(BYTES.astype(np.float32)))


def test_notes_may_say_it_of_any_model(tmp_path: Path) -> None:
    small = Small()
    small.W.value = np.arange(8.0).reshape(4, 2)
    model = saved(small, tmp_path / "m.safetensors", notes={"pixels": ["X"]})
    assert np.allclose(model(BYTES), BYTES / 255 @ small.W.value)


def test_whole_numbers_of_a_model_stay_whole(tmp_path: Path) -> None:
    words, E = mf.Input("words"), mf.Parameter(np.arange(6.0).reshape(3, 2), "E")
    path = tmp_path / "m.safetensors"
    mf.save(mf.Gather(E, words), path, inputs={words: np.zeros(1, np.int64)})
    assert without_a_word(lambda: mf.load(path)(np.uint8([2, 0]))).tolist() == [[4, 5], [0, 1]]


@pytest.mark.slow
def test_the_model_that_is_shipped_reads_digits_given_as_bytes() -> None:
    model, test = mf.load(DIGITS_FILE), mf.datasets.mnist().test
    fractions, labels = test.images[:1000], test.labels[:1000]
    pixels = np.round(fractions * 255).astype(np.uint8)
    assert np.array_equal(without_a_word(lambda: model(pixels)), model(fractions))
    assert np.mean(model.predict(pixels) == labels) > 0.99
