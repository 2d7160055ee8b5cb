"""The JAX backend computes what the interpreter does, keeps parameters on its devices, and tells
what cannot be right: on CPU devices, in processes of its own. What is run there is in `kit.py`.
"""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

import miniflow as mf
from miniflow.backends import find, names
from miniflow.backends.jax.printing import print_step
from miniflow.errors import CompileError
from miniflow.ir import Builder, ValueType
from miniflow.options import OptionError

from .child import TESTS, environment, needs_jax, run_kit


@needs_jax
def test_some_of_everything_agrees() -> None:
    run_kit(
        "some_primitives",
        "some_built_in_nodes",
        "some_conformance_graphs",
        "parameters_are_read_through_and_written",
        "the_users_own_setting_is_left_alone",
    )


@needs_jax
@pytest.mark.slow
def test_every_node_optimizer_and_schedule_agrees() -> None:
    run_kit("every_built_in_node", "every_conformance_graph", "all_optimizers", "all_schedules")


@needs_jax
@pytest.mark.slow
def test_what_is_promised_beyond_numbers() -> None:
    run_kit(
        "derivatives_are_those_of_jax",
        "other_backends_see_what_was_trained",
        "what_lies_on_the_device_stays_there",
        "no_array_of_jax_leaves",
        "what_the_user_has_jax_look_for_changes_nothing",
        "whole_numbers_of_64_bits_are_exact",
        "bad_indices_are_told",
        "what_does_not_fit_an_integer_is_told",
        "what_is_not_finite_updates_nothing",
        "dropout_drops_the_same_entries",
        "loops_over_time_stay_loops",
        "an_epoch_is_its_steps",
        "an_epoch_that_does_not_fit_is_handed_over_in_parts",
        "an_epoch_ends_at_what_goes_wrong",
        "compiled_code_is_kept_and_told_apart",
        "training_and_estimators_take_it",
        "training_makes_many_steps_in_a_call",
        "no_clock_decides_the_bits",
        "data_go_to_the_devices_once",
        "precisions_are_printed",
        "a_forked_process_is_told",
    )


@needs_jax
@pytest.mark.slow
def test_many_devices_are_as_one() -> None:
    run_kit(
        "devices_agree",
        "dropout_on_devices_is_the_same",
        "batches_are_divided_or_it_is_told",
        "kept_code_runs_on_its_own_devices",
        devices=4,
    )


@needs_jax
@pytest.mark.slow
@pytest.mark.rare
def test_every_primitive_agrees_and_every_node_in_double_precision() -> None:
    run_kit("many_primitives", "every_graph_in_double_precision", timeout=900)


def test_a_plain_import_and_the_list_of_backends_load_no_jax() -> None:
    code = "import sys, miniflow as mf; mf.JAX(devices=2); print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_it_is_taken_where_it_is_asked_for_and_never_by_auto() -> None:
    x = mf.Input("x")
    f = mf.compile(x * 2.0)
    f({x: np.zeros(3)})
    assert f.backend in names("run")
    assert "jax" not in names("run")


def test_options_are_a_name_of_the_backend() -> None:
    said = mf.JAX(devices=4, precision="bf16")
    assert said == "jax"
    assert pickle.loads(pickle.dumps(said)).precision == "bf16"
    assert find(said).name == "jax"
    assert repr(said) == "JAX(devices=4, precision='bf16', deterministic=False, data_limit=None)"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"devices": 0}, "devices is a whole number of at least 1, not 0"),
        ({"devices": "both"}, "devices is a number, 'all' or None, not 'both'"),
        ({"precision": "float8"}, "precision is one of float32, tf32, bf16, not 'float8'"),
        ({"deterministic": "yes"}, "deterministic is True or False"),
        ({"data_limit": -1}, "data_limit is a whole number of at least 0, not -1"),
    ],
)
def test_options_that_are_none_are_told(options: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        mf.JAX(**options)  # type: ignore[arg-type]


def test_without_the_package_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from miniflow.backends import backend

    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    x = mf.Input("x")
    with pytest.raises(CompileError, match=r'needs jax: pip install "miniflow-graphs\[jax\]"'):
        mf.compile(x * 2.0, backend="jax")({x: np.zeros(3)})


def test_source_says_every_dtype_and_shape() -> None:
    b = Builder()
    x = b.input(ValueType("f32", (2, 3)), name="x")
    mask = b.input(ValueType("bool", (3,)), name="mask")
    n = b.input(ValueType("i64", (), "python"), name="n")
    scaled = b.add("multiply", (b.add("multiply", (x, mask)), b.add("multiply", (n, 2))))
    printed = print_step(b.program([b.add("add", (scaled, 0.5), name="y")]))
    assert "functions.from_mask(mask, f32), (2, 3), (1,)" in printed.source
    assert "lax.full((2, 3), f32(0.5), f32)" in printed.source
    assert "def numbers(n):\n    t2 = n * 2\n    return [convert(t2, f32)], []" in printed.source


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("race", ["mlp-128", pytest.param("gpt-64", marks=pytest.mark.rare)])
def test_races_on_a_gpu_run_here_in_a_small_setting(race: str) -> None:
    script = TESTS.parent / "benchmarks" / "gpu.py"
    done = subprocess.run(
        [sys.executable, str(script), "--small", "--only", race],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(f"| {race} |")]
    assert [row.split(" | ")[1] for row in rows][:3] == [
        "miniflow, an epoch a call",
        "JAX, lax.scan",
        "JAX, jit",
    ]
    assert not done.stderr
