"""Models and training steps as files of C: what they say, what they refuse, and their bits."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends.c.judge import (
    COMPILERS,
    STRICT,
    Argument,
    State,
    assert_step_has_natives_bits,
    call,
    compiled,
    has_fma,
    needs_compiler,
    needs_fma,
    same_bits,
)
from exports.test_export_steps import OPTIMIZERS, classifier
from networks_in_c import RNG, exported, network, small, weights

import miniflow as mf
from miniflow.errors import CompileError
from miniflow.options import OptionError


@needs_compiler
@needs_fma
@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("kind", ["mlp", "cnn", "recurrent"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_and_inference_have_natives_bits(kind: str, dtype: Any, tmp_path: Path) -> None:
    pytest.importorskip("llvmlite")
    out, loss, feed = network(kind, dtype)
    step = mf.compile(loss, optimizer=mf.SGD(0.1, momentum=0.9), backend="native")
    assert_step_has_natives_bits(step, feed, compiler=COMPILERS[-1])
    x = next(iter(feed))
    text = exported(out, tmp_path, inputs={x: feed[x]}, batch=len(feed[x]))
    library = compiled(text, options=("-O3", "-mavx2", "-mfma"))
    wanted = mf.compile(out, backend="native")({x: feed[x]})
    found = np.zeros_like(wanted)
    array = Argument(feed[x], "f32", "array")
    assert call(library.model_predict, array, outputs=[found]) == 0
    assert same_bits(found, wanted)


@needs_compiler
@needs_fma
@pytest.mark.parametrize("features", [7, 33])
def test_products_over_many_rows_go_on_from_block_to_block(features: int) -> None:
    pytest.importorskip("llvmlite")
    x, y = mf.Input("x"), mf.Input("y")
    loss = mf.MSE(mf.Tanh(x @ weights(features, 19)), y)
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
    feed = {x: RNG.normal(size=(1100, features)), y: RNG.normal(size=(1100, 19))}
    feed = {node: value.astype("f4") for node, value in feed.items()}
    assert_step_has_natives_bits(step, feed, steps=2)


@needs_compiler
@needs_fma
@pytest.mark.breadth("name")
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_goes_on_and_dropout_drops_the_same(name: str) -> None:
    pytest.importorskip("llvmlite")
    loss, feed = classifier(dropout=True)
    step = mf.compile(loss, optimizer=OPTIMIZERS[name](), backend="native")
    assert_step_has_natives_bits(step, feed)


@needs_compiler
@needs_fma
@pytest.mark.parametrize("optimizer", [None, mf.SGD(0.1)], ids=["none", "sgd"])
def test_states_and_gradients_are_the_steps(optimizer: Any) -> None:
    pytest.importorskip("llvmlite")
    x, W = mf.Input("x"), weights(3, 1)
    kept, count = mf.State(np.zeros(3, "f4"), "kept"), mf.State(0, "count")
    centred = mf.SetState(kept, 0.5 * kept + 0.5 * mf.Mean(x, axis=0), then=x - kept)
    loss = mf.Mean((mf.SetState(count, count + 1, then=centred) @ W) ** 2)
    step = mf.compile(loss, wrt=[x, W], optimizer=optimizer, backend="native")
    assert_step_has_natives_bits(step, {x: RNG.normal(size=(4, 3)).astype("f4")})
    assert count.value == 4


@needs_compiler
def test_what_has_been_learned_predicts(tmp_path: Path) -> None:
    loss, feed = classifier(dropout=True)
    step = mf.compile(loss, optimizer=mf.SGD(0.5))
    step(feed)
    text = exported(step, tmp_path, "learn")
    assert "int learn_predict(const learn_state *state, const float *X, int64_t seed," in text
    assert "output out: float32 (1, 3), of learn_predict" in text
    library = compiled(text, ("-O1",))
    state = State(text, "learn", library)
    X, y, seed = feed
    logits = loss.inbound_nodes[0]
    for _ in range(2):
        found = np.zeros((1, 3), "f4")
        row = np.array(feed[X][:1])
        given = Argument(row, "f32", "array"), Argument(-1, "i64", "python")  # nothing is dropped
        assert call(library.learn_predict, state.argument, *given, outputs=[found]) == 0
        np.testing.assert_allclose(
            found, mf.value(logits, {X: row, seed: -1}), rtol=1e-4, atol=1e-5
        )
        step(feed)
        fed = [Argument(np.array(feed[X]), "f32", "array"), Argument(feed[seed], "i64", "python")]
        fed.append(Argument(np.array(feed[y]), "i64", "array"))
        assert not call(library.learn_step, state.argument, *fed, outputs=[np.zeros((), "f4")])


@needs_compiler
def test_a_step_of_what_is_no_loss_of_rows_has_no_prediction(tmp_path: Path) -> None:
    W = weights(3, 3)
    step = mf.compile(mf.Sum(W * W), optimizer=mf.SGD(0.1))
    step({})
    text = exported(step, tmp_path, "decay")
    assert "decay_predict" not in text
    assert "int decay_step(decay_state *state, float *loss);" in text


@needs_compiler
@needs_fma
@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_multiply_adds_have_the_same_bits_without_hardware(
    dtype: Any, tmp_path: Path
) -> None:
    out, _, feed = network("mlp", dtype)
    x = next(iter(feed))
    text = exported(out, tmp_path, inputs={x: feed[x]}, batch=33)
    found = []
    for options in (("-O1", "-mavx2", "-mfma"), ("-O1", "-Dmodel_EXACT"), ("-O1",)):
        library = compiled(text, options)
        found.append(np.zeros((33, 5), dtype))
        assert not call(
            library.model_predict, Argument(feed[x], "f32", "array"), outputs=[found[-1]]
        )
    assert same_bits(found[0], found[1])
    assert not same_bits(found[0], found[2])  # which multiplies and adds
    np.testing.assert_allclose(found[0], found[2], rtol=1e-4, atol=1e-5)


@needs_compiler
@needs_fma
def test_the_exact_multiply_add_is_exact_wherever_floats_are() -> None:
    from miniflow.backends.c.kernels import head

    loop = """
#include <stdlib.h>
void both(int64_t n, const float *x, const float *y, const float *z, float *out) {
  for (int64_t i = 0; i < n; i++) out[i] = m_FMA_F32(x[i], y[i], z[i]);
}
"""
    n = 200_000
    numbers = [RNG.integers(0, 2**32, n, dtype=np.uint32).view(np.float32) for _ in range(3)]
    near = RNG.integers(100, 150, (3, n), dtype=np.uint32) << 23  # so that nothing is lost at once
    for array, exponents in zip(numbers, near, strict=True):
        half = n // 2
        array[:half] = ((array.view("u4") & 0x807FFFFF) | exponents).view("f4")[:half]
    odd = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38, 1], "f4")
    for array, values in zip(numbers, np.meshgrid(odd, odd, odd), strict=True):
        array[: values.size] = values.reshape(-1)
    results = []
    for options in (("-O1", "-mfma"), ("-O1", "-Dm_EXACT")):
        results.append(np.zeros(n, "f4"))
        arguments = [Argument(array, "f32", "array") for array in numbers]
        size = Argument(n, "i64", "scalar")
        library = compiled(head("m") + loop, options)
        library.both.restype = None
        library.both(*(a.in_c() for a in (size, *arguments, Argument(results[-1], "f32", "array"))))
    assert same_bits(*results)


ARM = {  # compilers, and who runs what they make
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64", ()),
    "arm": ("arm-linux-gnueabihf-gcc", "qemu-arm", ("-mcpu=cortex-a7", "-mfpu=neon-vfpv4")),
}
MAIN = """
#include <stdio.h>
#define learn_HEADER_ONLY
#include "learn.c"
static learn_state state;
static float x[SIZE], loss;
static int64_t y[ROWS];
int main(void) {
  learn_init(&state);
  if (fread(x, sizeof x, 1, stdin) != 1 || fread(y, sizeof y, 1, stdin) != 1) return 9;
  for (int step = 0; step < 3; step++) {
    const int failed = learn_step(&state, x, y, &loss);
    if (failed != 0) return failed;
  }
  fwrite(&loss, sizeof loss, 1, stdout);
  return fwrite(state.W, sizeof state.W, 1, stdout) != 1;
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("processor", sorted(ARM))
def test_on_arm_it_has_the_same_bits(processor: str, kind: str, tmp_path: Path) -> None:
    compiler, emulator, options = ARM[processor]
    for tool in (compiler, emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {compiler} and {emulator}")
    pytest.importorskip("llvmlite")
    if not has_fma():
        pytest.skip("the native backend has other bits on this processor")
    _, loss, feed = network(kind, "f4")
    x, y = feed
    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="native")
    step(feed)
    exported(step, tmp_path, "learn")
    main = MAIN.replace("SIZE", str(feed[x].size)).replace("ROWS", str(feed[y].size))
    (tmp_path / "main.c").write_text(main)
    command = [compiler, *STRICT, "-O2", "-static", *options, "main.c", "learn.c", "-o", "main"]
    subprocess.run([*command, "-lm"], check=True, cwd=tmp_path)
    fed = feed[x].tobytes() + feed[y].astype("i8").tobytes()
    ran = subprocess.run([emulator, "./main"], input=fed, capture_output=True, cwd=tmp_path)
    assert ran.returncode == 0
    for _ in range(3):
        wanted = step(feed)
    found = np.frombuffer(ran.stdout, "f4")
    assert same_bits(found[:1], np.float32(wanted))
    assert same_bits(found[1:], mf.parameters(loss)[0].value.reshape(-1))


def test_a_file_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    text = exported(small(tmp_path), tmp_path, "digits")
    head = text[: text.index("*/")]
    assert f"A model, written by miniflow {mf.__version__}." in head
    assert "input X: float32 (1, 4), pixels from 0 to 1" in head
    assert "output logits: float32 (1, 3), a score for each class" in head
    assert 'classes: ant, b"é* /? ?, cat' in head
    assert "int digits_predict(const float *X, float *out);" in text
    assert '#define digits_CLASS_NAMES {"ant", "b\\042\\303\\251*/\\077\\077", "cat"}' in text
    assert exported(small(tmp_path), tmp_path, "digits", batch=5).count("#define digits_ROWS 5")


USER = """
#define IT_HEADER_ONLY
#include "IT.c"
static const char *const names[] = IT_CLASS_NAMES;
typedef char size_is_told[sizeof(IT_scratch) == IT_SCRATCH_BYTES ? 1 : -1];
int use(const float *x, float *out) {
  IT_scratch own;
  return IT_predict_with(&own, x, out) + (names[0][0] != 'a') + (int)sizeof(size_is_told) - 1;
}
"""


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
def test_one_file_is_the_header_and_the_implementation(compiler: str, tmp_path: Path) -> None:
    model = small(tmp_path)
    exported(model, tmp_path, "small")
    (tmp_path / "user.c").write_text(USER.replace("IT", "small"))
    objects = []
    for name in ("small", "user"):
        objects.append(str(tmp_path / f"{name}.o"))
        options = [*STRICT, "-O1", "-fPIC", "-c", str(tmp_path / f"{name}.c"), "-o", objects[-1]]
        subprocess.run([compiler, *options], check=True)
    subprocess.run(
        [compiler, "-shared", *objects, "-o", str(tmp_path / "all.so"), "-lm"], check=True
    )
    library = ctypes.CDLL(str(tmp_path / "all.so"))
    x, found = RNG.random((1, 4)).astype("f4"), np.zeros((1, 3), "f4")
    for function in (library.use, library.small_predict):
        found[:] = 0
        assert call(function, Argument(x, "f32", "array"), outputs=[found]) == 0
        np.testing.assert_allclose(found, model(x), rtol=1e-5)


@needs_compiler
def test_nothing_is_allocated_and_nothing_but_libm_is_called(tmp_path: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("needs nm")
    loss, feed = classifier(dropout=True)
    step = mf.compile(loss, optimizer=mf.Adam(0.01))
    step(feed)
    exported(step, tmp_path, "learn")
    options = [*STRICT, "-O2", "-c", "learn.c", "-o", "learn.o"]
    subprocess.run([COMPILERS[0], *options], check=True, cwd=tmp_path)
    told = subprocess.run(
        ["nm", "learn.o"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    called = set(re.findall(r" U (\w+)", told.stdout))
    from_libm = {
        f"{word}{f}" for word in ("floor", "ceil", "rint", "sqrt", "fmod") for f in ("", "f")
    }
    assert called <= {*from_libm, "memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_"}
    seen = set(re.findall(r" [TBDGSC] (\w+)", told.stdout))
    functions = {f"learn_{word}" for word in ("init", "step", "predict")}
    assert seen == functions | {"learn_step_with", "learn_predict_with"}


@needs_compiler
@pytest.mark.parametrize("bad", ["number", "label"])
def test_what_goes_wrong_is_told_and_updates_nothing(bad: str, tmp_path: Path) -> None:
    loss, feed = classifier()
    step = mf.compile(loss, optimizer=mf.Adam(0.1))
    step(feed)
    text = exported(step, tmp_path, "learn")
    library = compiled(text, ("-O1",))
    state = State(text, "learn", library)
    before = state.memory.tobytes()
    X, y = (np.array(feed[node]) for node in feed)
    if bad == "number":
        X[2, 3] = np.inf
    else:
        y[2] = 7
    arguments = [Argument(X, "f32", "array"), Argument(y, "i64", "array")]
    outputs = [np.zeros((), "f4")]
    wanted = 2 if bad == "number" else 1
    assert f"#define learn_{'NOT_FINITE' if bad == 'number' else 'OUT_OF_RANGE'} {wanted} " in text
    assert call(library.learn_step, state.argument, *arguments, outputs=outputs) == wanted
    assert state.memory.tobytes() == before
    arguments = [Argument(np.array(v), "f32", "array") for v in feed.values()]
    assert call(library.learn_step, state.argument, *arguments, outputs=outputs) == 0
    assert state.memory.tobytes() != before


@needs_compiler
def test_several_outputs_are_called_by_their_names(tmp_path: Path) -> None:
    x = mf.Input("x")
    a, b = mf.Mul(x, 2.0, name="twice"), mf.Add(x, 1.0, name="one more")
    mf.save([a, b], tmp_path / "two.safetensors", inputs={x: np.zeros((1, 3))})
    text = exported(mf.load(tmp_path / "two.safetensors"), tmp_path, "two")
    assert "int two_predict(const double *x, double *twice, double *one_more);" in text
    found = [np.zeros((1, 3)), np.zeros((1, 3))]
    values = np.array([[1.0, 2.0, 3.0]])
    given = Argument(values, "f64", "array")
    assert call(compiled(text, ("-O0",)).two_predict, given, outputs=found) == 0
    np.testing.assert_array_equal(found, [2 * values, values + 1])


@pytest.mark.parametrize("stem", ["my-model", "2nd", "int", "_hidden", "modèle"])
def test_a_stem_that_is_no_identifier_is_refused(stem: str, tmp_path: Path) -> None:
    model = small(tmp_path)
    with pytest.raises(OptionError, match="is no identifier of C: name the file"):
        mf.export(model, tmp_path / f"{stem}.c")
    with pytest.raises(OptionError, match=r"name is an identifier of C, such as digits, not"):
        mf.export(model, tmp_path / "model.c", name=stem)
    assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors"}
    mf.export(model, tmp_path / f"{stem}.c", name="good")
    assert "int good_predict(" in (tmp_path / f"{stem}.c").read_text(encoding="utf-8")


def test_a_name_is_for_c_alone(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="name is for files of C"):
        mf.export(small(tmp_path), tmp_path / "model.onnx", name="model")


def test_what_cannot_be_expressed_names_the_node_and_writes_nothing(tmp_path: Path) -> None:
    n, W = mf.Input("n"), weights(3)
    many = mf.Mul(n, 2**60, name="many")  # a Python int, which grows as it needs to
    step = mf.compile(mf.Sum(W * many), optimizer=mf.SGD(0.0))
    step({n: 3})
    with pytest.raises(CompileError, match=r"Mul 'many' cannot be written as C: .*Python's"):
        mf.export(step, tmp_path / "step.c")
    assert not list(tmp_path.iterdir())
