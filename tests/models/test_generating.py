"""Networks that write: a letter at a time or the whole line anew, from memory or from a file, the
lines are the same; and what does not fit is told.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.errors import GraphError, NotFiniteError, ShapeError
from miniflow.models.generating import save_writer
from miniflow.options import OptionError

LETTERS = "abcde"
WRITERS: dict[str, Any] = {
    "GPT": lambda **more: layers.GPT(
        LETTERS, **{"context": 9, "units": 8, "heads": 2, "depth": 2, "rng": 3, **more}
    ),
    "GPT, tied": lambda: layers.GPT(
        LETTERS, context=9, units=8, heads=1, depth=1, tied=True, activation="gelu", rng=3
    ),
    "CharRNN": lambda: layers.CharRNN(LETTERS, units=8, depth=2, rng=3),
}


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("kind", WRITERS)
def test_lines_are_the_same_with_and_without_what_was_kept_and_from_a_file(
    kind: str, backend: str, tmp_path: Path
) -> None:
    writer = WRITERS[kind]()
    options = {"temperature": 1.5, "rng": 0, "length": 9, "backend": backend}
    lines = mf.generate(writer, "ab", 20, **options)
    assert len(set(lines)) > 5
    assert all(line.startswith("ab") and len(line) <= 9 for line in lines)
    assert mf.generate(writer, "ab", 20, cache=False, **options) == lines
    assert mf.generate(writer, "ab", 20, **options) == lines  # nothing is left of the lines before
    assert mf.generate(writer, "ab", 6, **options) == lines[:6]
    ids = mf.Input("ids", shape=(9,), dtype=np.int64)
    assert mf.generate(writer(ids), "ab", 20, letters=LETTERS, **options) == lines
    save_writer(writer, tmp_path / "writer.safetensors", notes={"training": 1})
    loaded = mf.load(tmp_path / "writer.safetensors", backend)
    assert loaded.notes["training"] == 1
    options.pop("backend")
    assert mf.generate(loaded, "ab", 20, **options) == lines


@pytest.mark.parametrize("kind", WRITERS)
def test_scores_of_native_code_are_the_same_bits_a_letter_at_a_time(kind: str) -> None:
    writer = WRITERS[kind]()
    ids, lines = mf.Input("ids", shape=(9,), dtype=np.int64), np.arange(27).reshape(3, 9) % 6
    whole = mf.compile(writer(ids), backend="native")({ids: lines})
    steps = writer.steps(3)
    run = mf.compile(steps.scores, backend="native")
    for place in range(9):
        feed = {steps.letter: lines[:, place]}
        if steps.place is not None:
            feed[steps.place] = np.full(3, place)
        np.testing.assert_array_equal(run(feed), whole[:, place])


def test_a_letter_costs_a_letter() -> None:
    writer = WRITERS["GPT"]()
    ids = mf.Input("ids", shape=(9,), dtype=np.int64)
    at_once = mf.compile(writer(ids), backend="numpy")
    at_once({ids: np.zeros((4, 9), int)})
    steps = writer.steps(4)
    run = mf.compile(steps.scores, backend="numpy")
    run({steps.letter: np.zeros(4, int), steps.place: np.zeros(4, int)})
    assert run.cost().total.flops < at_once.cost().total.flops / 5


def test_temperature_and_top_k_say_how_letters_are_drawn() -> None:
    ids = mf.Input("ids", shape=(2,), dtype=np.int64)
    scores = np.log(np.array([[0.1, 0.2, 0.3, 0.4], [1, 1e-9, 1e-9, 1e-9]])[[0, 1, 1, 1]])
    node, letters = mf.Embedding(ids, scores), "abc"

    def shares(**options: Any) -> list[float]:
        lines = mf.generate(node, "", 4000, letters=letters, rng=0, length=1, **options)
        return [lines.count(one) / 4000 for one in ("", *letters)]

    np.testing.assert_allclose(shares(), [0.1, 0.2, 0.3, 0.4], atol=0.03)
    np.testing.assert_allclose(shares(temperature=0.5), np.square([1, 2, 3, 4]) / 30, atol=0.03)
    np.testing.assert_allclose(shares(top_k=2), [0, 0, 3 / 7, 4 / 7], atol=0.03)
    assert shares(temperature=0) == shares(top_k=1) == shares(temperature=1e-300) == [0, 0, 0, 1]
    assert shares(top_k=99) == shares()


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_letter_is_drawn_by_scores_that_are_no_numbers(score: float, temperature: float) -> None:
    ids = mf.Input("ids", shape=(3,), dtype=np.int64)
    scores = mf.Parameter(50 * np.eye(3)[[1, 0, 2]], "scores")  # a, and the end
    node, options = mf.Embedding(ids, scores), {"letters": "ab", "temperature": temperature}
    scores.value[2] = -np.inf  # of a letter that is not written
    scores.value[1, 2] = -np.inf
    assert mf.generate(node, "", 2, rng=0, **options) == ["a", "a"]
    scores.value[1] = score
    with pytest.raises(NotFiniteError, match=f"scores a letter {score}"):
        mf.generate(node, "", 2, rng=0, **options)


def wrong_calls(tmp_path: Path) -> dict[str, tuple[Any, type[Exception], str]]:
    gpt = WRITERS["GPT"]()
    X = mf.Input("X", shape=(3,))
    mf.save(X * 2.0, tmp_path / "other.safetensors", inputs={X: np.zeros((1, 3))})
    two = mf.Input("a") + mf.Input("b")
    return {
        "an unknown letter": (lambda: mf.generate(gpt, "bäd"), OptionError, "has 'ä', which the"),
        "a long prompt": (lambda: mf.generate(gpt, "a" * 10), OptionError, "10 letters, and .* 9"),
        "no lines": (lambda: mf.generate(gpt, n=0), OptionError, "n is a whole number of at least"),
        "cold": (lambda: mf.generate(gpt, temperature=-1), OptionError, "temperature is a number"),
        "top 0": (lambda: mf.generate(gpt, top_k=0), OptionError, "top_k is a whole number"),
        "too far": (lambda: mf.generate(gpt, length=10), OptionError, "looks back at 9 letters"),
        "no text": (lambda: mf.generate(gpt, 3), OptionError, "the prompt is text"),  # type: ignore[arg-type]
        "no model": (lambda: mf.generate("gpt"), OptionError, "model is layers.GPT"),
        "another file": (
            lambda: mf.generate(mf.load(tmp_path / "other.safetensors")),
            OptionError,
            "this model writes nothing",
        ),
        "no letters": (lambda: mf.generate(X * 2.0), OptionError, "letters='abc...'"),
        "two inputs": (lambda: mf.generate(two, letters="a"), GraphError, "has 2 inputs"),
        "no scores": (lambda: mf.generate(X * 2.0, letters="a"), ShapeError, "a row of scores"),
    }


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    for call, error, told in wrong_calls(tmp_path).values():
        with pytest.raises(error, match=told):
            call()


def test_what_a_network_cannot_be_made_of_is_told() -> None:
    with pytest.raises(OptionError, match="each letter once"):
        layers.GPT("abca")
    with pytest.raises(ShapeError, match=r"lines of 12 letters were fed, .* looks back at 9"):
        WRITERS["GPT"]()(mf.Input("ids", shape=(12,), dtype=np.int64))
    with pytest.raises(OptionError, match="3 heads cannot share 8 units"):
        WRITERS["GPT"](heads=3)
    with pytest.raises(ShapeError, match="2 heads share evenly"):
        layers.MultiHeadAttention(2)(layers.Input((4, 5)))
    with pytest.raises(OptionError, match="call that first"):
        layers.TiedDense(layers.Embedding(3, 4))(layers.Input((4,)))
    with pytest.raises(OptionError, match="norm is 'rms' or 'layer'"):
        layers.TransformerBlock(2, norm="batch")
