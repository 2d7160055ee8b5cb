"""Model files that are damaged, forged or no model at all: each is refused with its reason."""

import copy
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as safetensors
from saved_models import parts, parts_with_loop, refusal, written

import miniflow as mf
from miniflow.errors import ShapeError
from miniflow.files.arrays import KEY


def test_a_file_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    arrays, about = parts(tmp_path)
    whole = written(arrays, about)
    path = tmp_path / "model.safetensors"
    for length in {*range(12), *range(0, len(whole), 37), len(whole) - 1}:
        assert refusal(path, whole[:length]) is not None, length
    assert refusal(path, whole) is None


def test_a_flipped_bit_anywhere_is_told(tmp_path: Path) -> None:
    arrays, about = parts(tmp_path)
    whole, path = written(arrays, about), tmp_path / "model.safetensors"
    draw = random.Random(20)
    for _ in range(600):
        place = draw.randrange(8 * len(whole))
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        assert refusal(path, bytes(flipped)) is not None, place
    assert refusal(path, whole) is None


@pytest.mark.slow
@pytest.mark.parametrize("make", [parts, parts_with_loop])
def test_changed_words_with_a_right_checksum_are_refused_or_a_model(
    tmp_path: Path, make: Any
) -> None:
    arrays, about = make(tmp_path)
    text = json.dumps(about["program"])
    draw = random.Random(20)
    told = tried = 0
    while tried < 300:
        letters = list(text)
        for _ in range(draw.choice((1, 1, 2, 8))):
            letters[draw.randrange(len(text))] = chr(draw.randrange(32, 127))
        try:
            program = json.loads("".join(letters))
        except ValueError:
            continue
        tried += 1
        contents = written(arrays, about | {"program": program})
        told += refusal(tmp_path / "model.safetensors", contents) is not None
    assert 30 < told < 300


def changed(about: dict[str, Any], *where: Any, to: Any) -> dict[str, Any]:
    about = copy.deepcopy(about)
    place: Any = about["program"]
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = to
    return about


def test_broken_body_of_a_loop_is_refused(tmp_path: Path) -> None:
    arrays, about = parts_with_loop(tmp_path)
    path = tmp_path / "model.safetensors"
    assert refusal(path, written(arrays, about)) is None
    (at,) = [i for i, e in enumerate(about["program"]["equations"]) if e[0] == "scan"]
    for where, to, told in (
        (("body",), 3, "should be a program"),
        (("body",), {}, "it does not describe a program"),
        (("body",), [], "should be a program"),
        (("sequences",), 9, "goes through 9 of 3 operands"),
        (("sequences",), 0, "goes through 0"),
        (("reverse",), 1, "should be True or False"),
        (("body", "outputs"), [], "0 outputs"),
        (("body", "inputs", 0, 0, 1), [1, 1], "its body takes"),
        (("body", "equations", 0, 0), "launch", "there is no primitive"),
        (("body", "equations", 0, 1, 0), ["v", 99], "comes later, or never"),
        (("body", "constants"), [[["f64", [1], "array"], "c"]], "not as many arrays"),
    ):
        broken = changed(about, "equations", at, 2, *where, to=to)
        assert told in str(refusal(path, written(arrays, broken))), where


NESTED: Any = []
for _ in range(300):
    NESTED = [NESTED]

BROKEN = [
    (("equations", 0, 0), "launch", "there is no primitive 'launch'"),
    (("equations", 0, 0), ["matmul"], "there is no primitive"),
    (("equations", 0, 0), "subtract", "does not take|broadcast"),
    (("equations", 0, 1, 0), ["v", 7], "comes later, or never"),
    (("equations", 0, 1, 0), ["v", -1], "comes later, or never"),
    (("equations", 0, 1, 0), ["v", 10**30], "is not a whole number"),
    (("equations", 0, 1, 0), ["v", 1.5], "is not a whole number"),
    (("equations", 0, 1, 0), ["n", "f64", "array", "0x1p0"], "equation 0"),
    (("equations", 0, 1, 0), ["n", "f16", "scalar", "0x1p1000"], "needs an array"),
    (("equations", 0, 1, 0), ["n", "i8", "scalar", "300"], "does not describe a program"),
    (("equations", 0, 1, 0), ["n", "i64", "python", "9" * 50], "a number is too long"),
    (("equations", 0, 1, 0), ["n", "text", "python", "1"], "does not describe a program"),
    (("equations", 0, 1), [], "takes 2 operands, not 0"),
    (("equations", 0, 2), {"axis": 1}, "has params"),
    (("equations", 0, 2), {"n": [1, 1]}, "does not describe a program"),
    (("equations", 0, 3), ["f32", [1, 5], "array"], "gives f64"),
    (("equations", 0, 3), ["c128", [1, 5], "array"], "'c128' is not a dtype"),
    (("equations", 0, 3), ["f64", [1, 5], "python"], "its values are arrays, not 'python'"),
    (("equations", 0, 3), ["f64", [{"n": [1 << 70, 0]}], "array"], "is not a whole number"),
    (("equations", 0, 3), ["f64", [{"n": [1 << 62, 0]}, 9], "array"], "too large|is not a whole"),
    (("equations", 0, 3), ["f64", [-1, 5], "array"], "negative|gives"),
    (("equations", 0, 5), 99, "does not describe a program"),
    (("equations",), {"n": [1, 0]}, "does not describe a program"),
    (("equations",), "abc", "does not describe a program"),
    (("equations",), None, "does not describe a program"),
    (("origins", 0), ["a", "sideways"], "its origin is not an origin"),
    (("inputs", 0, 0), ["f64", [{"n": [2, 0]}, 6], "array"], "no number of rows|gives"),
    (("inputs", 0, 0), ["f64", [6, {"n": [1, 0]}], "array"], "no number of rows|gives|differ"),
    (("inputs", 0, 0), ["f64", [], "scalar"], "needs an array|not an array that is fed"),
    (("inputs", 0, 2), "parameter", "not an array that is fed"),
    (("inputs", 0, 2), "captain", "unknown role 'captain'"),
    (("inputs",), [], "comes later, or never|gives|differ"),
    (("constants", 0, 0), ["f64", [6, 6], "array"], "its value is not of that type"),
    (("constants", 0, 0), ["f32", [6, 5], "array"], "its value is not of that type"),
    (("constants", 0, 0), ["f64", [10**9, 10**9], "array"], "larger than|not of that type|large"),
    (("constants",), [], "not as many arrays as its program says"),
    (("outputs",), [], "has not one output, a value"),
    (("outputs", 0, 1), "gradient", "has not one output, a value"),
    (("outputs", 0, 1), "parameter", "replaces an input of that role"),
    (("outputs", 0, 0), ["v", 99], "comes later, or never"),
    (("outputs",), NESTED, "does not describe a program|nested"),
    (("equations", 0, 1, 0), NESTED, "nested|does not describe"),
]


@pytest.mark.parametrize("place", range(len(BROKEN)))
def test_a_program_that_is_none_is_refused_with_its_reason(place: int, tmp_path: Path) -> None:
    where, value, reason = BROKEN[place]
    arrays, about = parts(tmp_path)
    message = refusal(
        tmp_path / "model.safetensors", written(arrays, changed(about, *where, to=value))
    )
    assert message is not None
    assert "is damaged: " in message
    assert any(part in message for part in reason.split("|")), message


def test_what_is_no_program_at_all_is_refused(tmp_path: Path) -> None:
    arrays, about = parts(tmp_path)
    path = tmp_path / "model.safetensors"
    for program in (None, 3, "program", [], {}, {"equations": []}, NESTED):
        assert "is damaged" in str(refusal(path, written(arrays, about | {"program": program})))
    for other in ([], "model", None, {"kind": 3}, {"kind": ["model"]}):
        text = json.dumps(other)
        assert refusal(path, safetensors(arrays, {KEY: text})) is not None
    deep = "[" * 1_000_000
    assert "no JSON" in str(refusal(path, safetensors(arrays, {KEY: deep})))
    assert "another version" in str(refusal(path, written(arrays, about | {"format": 2})))
    assert "is a checkpoint and not" in str(refusal(path, written(arrays, {"kind": "checkpoint"})))


@pytest.mark.slow
def test_a_million_equations_are_refused_before_they_are_read(tmp_path: Path) -> None:
    arrays, about = parts(tmp_path)
    path = tmp_path / "model.safetensors"
    few = written(arrays, changed(about, "equations", to=[[]] * 200_001))
    assert "more than 200000 equations" in str(refusal(path, few))
    line = '["add",[["v",0],["v",0]],{},["f64",[1],"array"],null,-1],'
    assert "letters of itself" in str(refusal(path, safetensors(arrays, {KEY: line * 1_000_000})))


def program_of(*equations: Any, n: Any = None) -> dict[str, Any]:
    """The words of a file whose program takes rows of one number; equations read the last value."""
    rows = {"n": [1, 0]} if n is None else n
    lines = []
    for i, (primitive, params, shape) in enumerate(equations):
        read = [["v", i]] if primitive != "full" else [["n", "f64", "scalar", "0x1p0"]]
        lines.append([primitive, read, params, ["f64", shape, "array"], None, -1])
    program = {
        "inputs": [[["f64", [rows, 1], "array"], "x", "fed"]],
        "constants": [],
        "origins": [],
        "equations": lines,
        "outputs": [[["v", len(lines)], "value", None]],
    }
    return {"kind": "model", "format": 1, "program": program}


def test_a_program_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for shape in ([1_000_000_000], [{"n": [1_000_000_000, 0]}], [{"n": [10**9, 5 - 10**9]}]):
        about = program_of(("full", {"shape": shape, "dtype": "f64"}, shape))
        assert "is larger than" in str(refusal(path, written({}, about)))


def test_a_program_that_explodes_with_the_rows_is_refused_when_it_is_called(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    shape = [{"n": [30_000_000, 0]}]  # 240 MB a row
    about = program_of(("full", {"shape": shape, "dtype": "f64"}, shape))
    assert refusal(path, written({}, about)) is None
    model = mf.load(path, "reference")
    tracemalloc.start()
    with pytest.raises(ShapeError, match=r"does not work for 1000 rows: .* is larger than"):
        model(np.ones((1000, 1)))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_program_that_is_ill_formed_for_some_rows_is_refused_for_these(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    index = [[0, {"n": [-1, 9]}, 1], [0, 1, 1]]  # 8 of one row, 7 of two
    about = program_of(
        ("broadcast_to", {"shape": [8, 1]}, [8, 1]),
        ("slice", {"index": index}, [{"n": [-1, 9]}, 1]),
    )
    about["program"]["inputs"][0][0][1][0] = 1  # one row is fed, whatever n
    assert refusal(path, written({}, about)) is None
    rows = {"n": [1, 0]}
    about = program_of(
        ("reshape", {"shape": [rows]}, [rows]), ("slice", {"index": [[0, 1, 1]]}, [1])
    )
    about["program"]["equations"][1][2]["index"] = [[{"n": [1, -1]}, 1, {"n": [-1, 3]}]]
    assert refusal(path, written({}, about)) is None
    model = mf.load(path, "reference")
    assert model(np.ones((2, 1))).tolist() == [1]
    with pytest.raises(ShapeError, match="does not work for 3 rows"):
        model(np.ones((3, 1)))


def test_names_that_could_command_a_terminal_are_cleaned(tmp_path: Path) -> None:
    arrays, about = parts(tmp_path)
    about["program"]["inputs"][0][1] = "\x1b[31mX\n\r\x07"
    about["program"]["origins"][0][0] = "\x1b]0;title\x07" * 1000
    path = tmp_path / "model.safetensors"
    path.write_bytes(written(arrays, about))
    model = mf.load(path, "reference")
    for text in (repr(model), str(model.program), model.inputs[0].name):
        assert text.replace("\n", "").isprintable()
    with pytest.raises(ShapeError) as caught:
        model(np.ones(3))
    assert str(caught.value).isprintable()
