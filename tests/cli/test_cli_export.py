"""`miniflow export`."""

import pathlib
import re
from typing import Any


def test_a_model_is_exported_by_the_ending(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    for name in ("model.onnx", "model.js", "model.c"):
        result = miniflow("export", trained, "-o", name)
        assert result.exit_code == 0, result.output
        size = (folder / name).stat().st_size
        assert result.stdout == f"Saved {name}, {size:,} bytes\n"
    assert (folder / "model.onnx").read_bytes().startswith(b"\x08\x08")
    assert (folder / "model.js").read_text("utf-8").startswith("// A model")
    assert (folder / "model.c").read_text("utf-8").startswith("/*\n * A model")
    result = miniflow("export", trained, "-o", "model.c", "--name", "digits")
    assert result.exit_code == 0, result.output
    assert "int digits_predict(const float *" in (folder / "model.c").read_text("utf-8")


def test_one_number_of_rows_can_be_asked_for(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    assert miniflow("export", "-o", "any.onnx").exit_code == 0
    assert miniflow("export", "-o", "one.onnx", "--batch", 1).exit_code == 0
    assert (folder / "any.onnx").read_bytes() != (folder / "one.onnx").read_bytes()
    assert miniflow("export", "-o", "none.onnx", "--batch", 0).exit_code == 2


def test_what_cannot_be_is_told_and_writes_nothing(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    result = miniflow("export", "-o", "model.cc")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: export: 'model.cc' ends in .cc; what is written is .onnx, .c or .js.\n"
    )
    assert not (folder / "model.cc").exists()
    assert miniflow("export").exit_code == 2
    assert miniflow("export", "nothing.safetensors", "-o", "m.onnx").exit_code == 1
    result = miniflow("export", "-o", "nowhere/m.onnx")
    assert result.exit_code == 1
    assert "nowhere/m.onnx" in result.stderr


def test_weights_in_8_bits_and_what_they_cost(
    miniflow: Any, trained: pathlib.Path, folder: pathlib.Path
) -> None:
    result = miniflow("export", "-o", "small.c", "--weights", "int8", "--data", "bars.npz")
    assert result.exit_code == 0, result.output
    assert re.search(
        r"Accuracy on bars.npz, [\d,]+ test examples: [\d.]+% as it is, [\d.]+% with int8 weights: "
        r"\d\.\d\d points (less|more)\n$",
        result.stdout,
    )
    assert "int8_t" in (folder / "small.c").read_text("utf-8")
    result = miniflow("export", "-o", "other.c", "--data", "mnist")
    assert result.exit_code == 1
    assert "give both, or neither" in result.stderr
    assert not (folder / "other.c").exists()
