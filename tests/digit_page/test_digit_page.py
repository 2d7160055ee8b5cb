"""What the page computes and shows, without a browser: `tests/browser` has it draw."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_nodes import OwnNetwork
from PIL import Image, ImageDraw

import miniflow as mf
from miniflow.digit_images import digit_from_grey, fit_drawing, read_digit, shrink_drawing
from miniflow.digit_page import check_reads_digits, digit_fragment
from miniflow.digit_page.layers import layers_of
from miniflow.digit_page.programs import SIDE, programs_for
from miniflow.errors import DataError
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir.evaluate import evaluate
from miniflow.layers.networks import Network, build
from miniflow.models.probabilities import gives_probabilities

RNG = np.random.default_rng(0)
PIXELS = RNG.random((28, 28)).astype(np.float32)


def saved(node: mf.Node, inputs: Any, folder: Path) -> mf.Model:
    mf.save(node, folder / "model.safetensors", inputs)
    return mf.load(folder / "model.safetensors")


def mlp(*sizes: int) -> tuple[Network, dict[mf.Node, np.ndarray]]:
    network = build(sizes)
    return network, {network.X: np.zeros((1, sizes[0]), np.float32)}


def drawing() -> np.ndarray:
    """Ink (280, 280) of a drawn 7, with soft edges."""
    picture = Image.new("L", (4 * SIDE, 4 * SIDE))
    ImageDraw.Draw(picture).line([(250, 200), (700, 220), (480, 800)], fill=255, width=88)
    return np.asarray(picture.reduce(4), np.float64) / 255


# --- From a drawing to pixels


def test_a_drawing_becomes_what_predict_makes_of_its_picture(tmp_path: Path) -> None:
    ink = drawing()
    np.testing.assert_allclose(fit_drawing(ink), digit_from_grey(1 - ink).pixels, atol=1e-6)
    Image.fromarray(np.uint8(255 - 255 * ink)).save(tmp_path / "seven.png")
    np.testing.assert_allclose(
        fit_drawing(ink), read_digit(tmp_path / "seven.png").pixels, atol=1e-6
    )


def test_a_shrunk_drawing_keeps_its_place_and_its_ink() -> None:
    ink = drawing()
    blocks = ink.reshape(28, 10, 28, 10).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink_drawing(ink), blocks, atol=1e-3)
    assert not shrink_drawing(np.zeros((SIDE, SIDE))).any()


def test_the_recorded_preprocessing_is_the_function(tmp_path: Path) -> None:
    network, example = mlp(784, 10)
    programs = programs_for(saved(network.logits, example, tmp_path))
    for ink in (drawing(), np.zeros((SIDE, SIDE)), np.roll(drawing(), 40, axis=0)):
        np.testing.assert_allclose(evaluate(programs.fit, [ink])[0], fit_drawing(ink), atol=1e-6)
        np.testing.assert_allclose(
            evaluate(programs.shrink, [ink])[0], shrink_drawing(ink), atol=1e-6
        )


# --- From pixels to an answer, and back


def test_the_answer_is_the_models_and_the_layers_are_the_nodes_values(tmp_path: Path) -> None:
    network, example = mlp(784, 20, 30, 10)
    model = saved(network.logits, example, tmp_path)
    programs = programs_for(model)
    probabilities, *layers = evaluate(programs.answer, [PIXELS])
    x = PIXELS.reshape(1, 784)
    logits = model(x)
    np.testing.assert_allclose(
        probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-5, atol=1e-9
    )
    for name, values in zip(("hidden1", "hidden2", "logits"), layers, strict=True):
        node = next(n for n in ancestors_in_order(network.logits) if n.name == name)
        np.testing.assert_allclose(values, mf.value(node, {network.X: x}), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label", [0, 7])
def test_the_explanation_is_the_interpreters_gradient_of_the_log_probability(
    label: int, tmp_path: Path
) -> None:
    own = OwnNetwork()
    explain = programs_for(saved(own.loss, own.example, tmp_path)).explain
    assert explain is not None
    (found,) = evaluate(explain, [PIXELS, np.array([label])])
    feed = {own.X: PIXELS.reshape(1, 784).astype(np.float64), own.y: np.array([label])}
    _, (gradient,) = mf.value_and_grad(own.loss, feed, wrt=[own.X])
    np.testing.assert_allclose(found, -gradient.reshape(28, 28), rtol=1e-9, atol=1e-12)


def test_near_certainty_the_explanation_is_not_lost_to_rounding(tmp_path: Path) -> None:
    network, example = mlp(784, 10)
    network.parameters["b1"].value[3] = 60.0
    explain = programs_for(saved(network.logits, example, tmp_path)).explain
    assert explain is not None
    (gradient,) = evaluate(explain, [PIXELS, np.array([5])])
    assert np.abs(gradient).max() > 1e-3  # what speaks for another digit
    network.parameters["b1"].value[3] = 30.0
    explain = programs_for(saved(network.logits, example, tmp_path)).explain
    assert explain is not None
    (gradient,) = evaluate(explain, [PIXELS, np.array([3])])
    assert 0 < np.abs(gradient).max() < 1e-9


def softmaxes(logits: mf.Node) -> list[mf.Node]:
    """Probabilities, by nodes of miniflow's and by hand."""
    exps = mf.Exp(logits - mf.Max(logits, axis=1, keepdims=True))
    return [mf.Softmax(logits), exps / mf.Sum(exps, axis=1, keepdims=True)]


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("which", [0, 1], ids=["Softmax", "by hand"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_of_a_model_that_gives_probabilities_no_softmax_is_taken(
    which: int, dtype: str, tmp_path: Path
) -> None:
    X, W = mf.Input("X"), mf.Parameter(RNG.normal(size=(784, 10), scale=0.2).astype(dtype), "W")
    example = {X: np.zeros((1, 784), dtype)}
    of_logits = programs_for(saved(X @ W, example, tmp_path))
    model = saved(softmaxes(X @ W)[which], example, tmp_path)
    assert gives_probabilities(model)
    programs = programs_for(model)
    expected, _ = evaluate(of_logits.answer, [PIXELS])
    np.testing.assert_allclose(evaluate(programs.answer, [PIXELS])[0], expected, rtol=1e-4)
    assert programs.explain is not None
    assert of_logits.explain is not None
    for label in (int(np.argmax(expected)), 3):
        given = [PIXELS, np.array([label])]
        (wanted,) = evaluate(of_logits.explain, given)
        (found,) = evaluate(programs.explain, given)
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max(), rtol=1e-3)


@pytest.mark.parametrize("activation", [mf.Sigmoid, mf.ReLU, mf.Tanh])
def test_outputs_that_are_no_probabilities_are_taken_as_logits(
    activation: Any, tmp_path: Path
) -> None:
    X, W = mf.Input("X"), mf.Parameter(RNG.normal(size=(784, 10), scale=0.1).astype("f4"), "W")
    assert not gives_probabilities(
        saved(activation(X @ W), {X: np.zeros((1, 784), "f4")}, tmp_path)
    )


def data_of(fragment: str) -> Any:
    found = re.search(r'<script type="application/json" class="data">(.*?)</script>', fragment)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["cat", "<dog>", "mo\x1buse"], ["cat", "<dog>", "mo\\x1buse"]),
        (["cat", "dog"], None),
        ([1, 2, 3], None),
        (None, None),
    ],
)
def test_the_page_has_the_names_of_the_classes(names: Any, shown: Any, tmp_path: Path) -> None:
    network, example = mlp(784, 3)
    path = tmp_path / "m.safetensors"
    mf.save(network.logits, path, example, notes={"class_names": names})
    assert data_of(digit_fragment(mf.load(path)))["names"] == shown


# --- Layers


def test_hidden_layers_and_their_weights_are_found_whoever_wrote_the_nodes(tmp_path: Path) -> None:
    own = OwnNetwork()
    layers = layers_of(saved(own.loss, own.example, tmp_path).program)
    assert [(layer.name.split()[0], layer.units) for layer in layers] == [
        ("Sigmoid", 24),
        ("Sigmoid", 16),
        ("Linear", 10),
    ]
    first = own.logits.inbound_nodes[0].inbound_nodes[0].inbound_nodes[0].inbound_nodes[0]
    assert layers[0].weights is not None
    np.testing.assert_array_equal(layers[0].weights, first.inbound_nodes[1].value.T)
    assert layers[1].weights is layers[2].weights is None


def test_without_hidden_layers_the_answers_have_the_weights(tmp_path: Path) -> None:
    network, example = mlp(784, 10)
    (output,) = layers_of(saved(network.logits, example, tmp_path).program)
    assert output.weights is not None
    np.testing.assert_array_equal(output.weights, network.parameters["W1"].value.T)


def test_pixels_on_another_scale_are_pixels_and_weights_may_come_first(tmp_path: Path) -> None:
    X = mf.Input("X")
    W = mf.Parameter(RNG.normal(size=(6, 784)), "W")
    V = mf.Parameter(RNG.normal(size=(6, 10)), "V")
    flat = mf.Reshape((X - 0.13) / 0.31, (-1, 784))
    hidden = mf.Tanh(mf.MatMul(W, mf.Transpose(flat)))
    model = saved(mf.MatMul(mf.Transpose(hidden), V), {X: RNG.random((1, 28, 28))}, tmp_path)
    check_reads_digits(model, "it")
    layers = layers_of(model.program)
    assert [layer.units for layer in layers] == [6, 10]
    assert layers[0].weights is not None
    np.testing.assert_array_equal(layers[0].weights, W.value)


# --- The file


@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1), (1, 28, 28)])
def test_images_may_be_flat_or_square(shape: tuple[int, ...], tmp_path: Path) -> None:
    X, W = mf.Input("X"), mf.Parameter(RNG.normal(size=(784, 10)).astype(np.float32))
    model = saved(
        mf.MatMul(mf.Reshape(X, (-1, 784)), W), {X: np.zeros((3, *shape), np.float32)}, tmp_path
    )
    check_reads_digits(model, "it")
    probabilities, *_ = evaluate(programs_for(model).answer, [PIXELS])
    assert probabilities.argmax() == model.predict(PIXELS.reshape(1, *shape))[0]


def test_the_default_networks_page_is_small_and_asks_for_nothing(tmp_path: Path) -> None:
    network, example = mlp(784, 128, 10)
    mf.save(network.logits, tmp_path / "m.safetensors", example)
    mf.page(tmp_path / "m.safetensors", tmp_path / "digits.html")
    text = (tmp_path / "digits.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    assert not re.search(r"https?://|\bsrc=|\bhref=|\bimport\b|fetch\(", text)
    mf.page(mf.load(tmp_path / "m.safetensors"), tmp_path / "again.html", title="Draw a digit · m")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text


def test_arrays_are_in_the_page_once(tmp_path: Path) -> None:
    network, example = mlp(784, 128, 10)
    fragment = digit_fragment(saved(network.logits, example, tmp_path))
    found = re.search(r'<script type="application/json" class="data">(.*?)</script>', fragment)
    assert found
    arrays = json.loads(found[1])["arrays"]
    large = [text for _, text in arrays if len(text) > 400_000]
    assert len(large) == 1


def test_names_are_only_names(tmp_path: Path) -> None:
    own = OwnNetwork()
    mf.page(
        saved(own.loss, own.example, tmp_path), tmp_path / "page.html", title="<script>1</script>"
    )
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<script>1" not in text
    assert text.count("</script>") == 2


@pytest.mark.skipif(os.name == "nt", reason="every file's name is text there")
def test_a_file_whose_name_is_no_text_gets_a_page(tmp_path: Path) -> None:
    network, example = mlp(784, 10)
    path = tmp_path / os.fsdecode(b"m\xff.safetensors")
    try:
        mf.save(network.logits, path, example)
    except OSError:
        pytest.skip("this file system takes no such name")
    mf.page(path, tmp_path / "page.html")
    assert "<h1>Draw a digit · m\\udcff</h1>" in (tmp_path / "page.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((64, 10), "takes n × 64; the page is for a model that takes one array, n × 784 or n × 28")],
)
def test_another_shape_is_refused_with_the_files_name(
    sizes: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    network, example = mlp(*sizes)
    path = tmp_path / "small.safetensors"
    mf.save(network.logits, path, example)
    with pytest.raises(DataError, match=message) as caught:
        mf.page(path, tmp_path / "digits.html")
    assert str(caught.value).startswith(str(path))
    assert not (tmp_path / "digits.html").exists()


def test_what_gives_no_classes_or_takes_no_fractions_is_refused(tmp_path: Path) -> None:
    X, W = mf.Input("X"), mf.Parameter(np.ones((784, 1)))
    with pytest.raises(DataError, match="gives 1 × 1 for an image"):
        check_reads_digits(saved(X @ W, {X: np.zeros((1, 784))}, tmp_path), "it")
    V = mf.Parameter(np.ones((784, 3)))
    with pytest.raises(DataError, match="takes uint8; the page's pixels are fractions"):
        check_reads_digits(saved(X @ V, {X: np.zeros((1, 784), np.uint8)}, tmp_path), "it")
    Y = mf.Input("Y")
    two = saved(X @ V + Y, {X: np.zeros((1, 784)), Y: np.zeros((1, 3))}, tmp_path)
    with pytest.raises(DataError, match="takes n × 784 and n × 3; the page is for"):
        check_reads_digits(two, "it")
