"""Models in C with weights in 8 bits."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from backends.c.judge import (
    COMPILERS,
    STRICT,
    Argument,
    call,
    compiled,
    needs_compiler,
)
from exports.test_export_steps import classifier
from networks_in_c import exported, network, small

import miniflow as mf
from miniflow.ir import evaluate
from miniflow.options import OptionError
from miniflow.passes.int8_weights import int8_weights

# --- Weights in 8 bits


@needs_compiler
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_weights_in_8_bits_give_what_their_program_says(kind: str, tmp_path: Path) -> None:
    out, _, feed = network(kind, "f4")
    x = next(iter(feed))
    images = feed[x][:3]
    mf.save(out, tmp_path / "m.safetensors", inputs={x: images})
    model = mf.load(tmp_path / "m.safetensors")
    text = exported(model, tmp_path, batch=3, weights="int8")
    assert "int8_t" in text
    assert "weights: whole numbers of 8 bits" in text
    library = compiled(text, options=("-O2",))
    found = np.zeros((3, 5), "f4")
    assert call(library.model_predict, Argument(images, "f32", "array"), outputs=[found]) == 0
    (wanted,) = evaluate(int8_weights(model.program_for(3)), [images])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    exact = model(images)
    assert np.abs(found - exact).max() < 0.05 * np.abs(exact).max()


@needs_compiler
@pytest.mark.slow
def test_the_shipped_model_takes_120_kilobytes_and_loses_a_tenth_of_a_point(tmp_path: Path) -> None:
    from miniflow.shipped import DIGITS_FILE

    exported(mf.load(DIGITS_FILE), tmp_path, "digits", weights="int8")
    options = [*STRICT, "-O2", "-fPIC", "-c", "digits.c", "-o", "digits.o"]
    subprocess.run([COMPILERS[0], *options], check=True, cwd=tmp_path)
    assert (tmp_path / "digits.o").stat().st_size <= 120_000
    link = [COMPILERS[0], "-shared", "digits.o", "-o", "digits.so", "-lm"]
    subprocess.run(link, check=True, cwd=tmp_path)
    library = ctypes.CDLL(str(tmp_path / "digits.so"))
    digits = mf.datasets.mnist().test
    images = digits.images.reshape(-1, 784).astype("f4") / digits.images.max()
    found = np.zeros((len(images), 10), "f4")
    for image, scores in zip(images, found, strict=True):
        call(library.digits_predict, Argument(image, "f32", "array"), outputs=[scores])
    right = mf.load(DIGITS_FILE).predict(images) == digits.labels
    assert np.mean(found.argmax(axis=1) == digits.labels) >= np.mean(right) - 0.001


def test_8_bits_are_for_models_in_c(tmp_path: Path) -> None:
    model = small(tmp_path)
    for name, weights in (("m.onnx", "int8"), ("m.js", "int8"), ("m.c", "int4"), ("m.c", 8)):
        with pytest.raises(OptionError, match='weights is "int8", and for files of C'):
            mf.export(model, tmp_path / name, weights=weights)  # type: ignore[arg-type]
    loss, feed = classifier()
    step = mf.compile(loss, optimizer=mf.SGD(0.1))
    step(feed)
    with pytest.raises(OptionError, match="a training step learns its weights"):
        mf.export(step, tmp_path / "step.c", weights="int8")
