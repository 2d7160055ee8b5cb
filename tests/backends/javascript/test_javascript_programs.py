"""Whole programs as JavaScript: random ones, a training step, graphs of people's own classes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conformance import CASES
from extremes import CASES as EXTREMES
from extremes import DTYPES, assert_all_right, built, reaches_further, values_of
from ir.programs import two_layers
from passes.random_programs import RandomProgram

import miniflow as mf
from miniflow.backends import find
from miniflow.backends.javascript import to_javascript
from miniflow.backends.numpy import lower
from miniflow.graph.plans import ancestors_in_order
from miniflow.passes import optimize

from ..agreement import copies, random_arguments
from ..moving_programs import MovingProgram
from .engine import Job, assert_all_agree, needs_engine, run

pytestmark = needs_engine


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def arguments_of(compiled: mf.compiler.Compiled, feed: dict) -> list:
    """Call a compiled graph that was called before; return what its program was given."""
    seen = []
    variant = compiled._last
    run, quick = variant.run, compiled._quick

    def watched(arguments):
        seen.extend(copies(arguments))  # before anything is updated
        return run(arguments)

    variant.run, compiled._quick = watched, None
    compiled(feed)
    variant.run, compiled._quick = run, quick
    return seen


def test_random_programs_as_they_are_and_optimized():
    jobs = []
    for seed in range(250):
        random = RandomProgram(seed)
        jobs += [Job(p, [random.arguments] * 2) for p in (random.program, optimize(random.program))]
    assert_all_agree(jobs, signed_zeros=False, is_loose=True)


def test_values_that_move_while_they_are_read():
    """Inputs get new values of each other, and of views, part by part."""
    for length in (8, 16):
        chosen = [MovingProgram(seed, length) for seed in range(60)]
        jobs = [Job(p.program, [p.arguments, p.arguments]) for p in chosen]
        assert_all_agree(jobs, signed_zeros=False)


def test_long_random_programs():
    chosen = [RandomProgram(seed, length=60) for seed in range(1000, 1050)]
    jobs = [Job(r.program, [r.arguments]) for r in chosen]
    assert_all_agree(jobs, signed_zeros=False, is_loose=True)


@pytest.mark.parametrize("is_optimized", [False, True])
def test_ten_steps_of_training_reach_the_same_parameters_as_numpy(is_optimized):
    program = two_layers(32, 20, 17, 10)
    program = optimize(program) if is_optimized else program
    batches = [random_arguments(program, seed, labels=10) for seed in range(10)]
    for batch in batches:
        batch[2:6] = copies(batches[0][2:6])
    (told,) = run([Job(program, batches, kept=[2, 3, 4, 5])])
    executable, parameters = lower(program), batches[0][2:6]
    for batch, ours in zip(batches, told, strict=True):
        (loss,) = executable.run([*batch[:2], *parameters, batch[6]])
        assert ours.error is None
        np.testing.assert_allclose(ours.results[0], loss, rtol=1e-5)
        for mine, theirs in zip(ours.arguments[2:6], parameters, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert told[-1].results[0] < told[0].results[0]


@pytest.mark.breadth("dtype")
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_fits_is_right_at_the_ends_of_the_dtype(dtype):
    if not reaches_further(dtype):
        pytest.skip("this processor's long double reaches no further than a float64")
    jobs, graphs = [], []
    for case in EXTREMES.values():
        values = values_of(case, dtype)
        dummy, wrt, feed, g = built(case, values)
        compiled = mf.compile(dummy, wrt, backend="reference")
        compiled(feed)
        jobs.append(Job(compiled.program, [arguments_of(compiled, feed)]))
        graphs.append((case, values, g))
    for told, (case, values, g) in zip(run(jobs), graphs, strict=True):
        value, *gradients = (np.asarray(result, dtype) for result in told[0].results)
        assert_all_right(case, dtype, values, value, gradients, g)


def test_peoples_own_classes_agree_with_the_interpreter():
    jobs, expected = [], []
    for build in CASES.values():
        output, feed, wrt, _ = build(np.float64)
        compiled = mf.compile(output, wrt, backend="reference")
        compiled(feed)
        jobs.append(Job(compiled.program, [arguments_of(compiled, feed)]))
        value, gradients = mf.value_and_grad(output, feed, wrt)
        expected.append([value, *gradients])
    accuracy = 200 * np.finfo(float).eps
    for name, (told,), wanted in zip(CASES, run(jobs), expected, strict=True):
        assert told.error is None, f"{name}: {told.error}"
        results = told.results[: len(wanted)]  # without new values of states
        for ours, theirs in zip(results, wanted, strict=True):
            np.testing.assert_allclose(
                ours, np.asarray(theirs), rtol=accuracy, atol=accuracy, err_msg=name
            )


def test_convolution_pooling_and_dropout_agree_with_the_interpreter():
    rng, seed = np.random.default_rng(0), mf.Seed()
    x, W = mf.Input("x"), mf.Input("W")
    nodes = [
        mf.Conv2D(x, W, stride=(1, 2), padding="same", groups=2),
        mf.Conv2D(x, W, dilation=(2, 1), padding=(2, 1), groups=2),
        mf.MaxPool(mf.Conv2D(x, W, groups=2), 3, stride=2, padding=1),
        mf.AveragePool(mf.Conv2D(x, W, groups=2), (2, 3), stride=1, padding="same"),
        mf.Dropout(mf.Conv2D(x, W, groups=2), seed, 0.4),
    ]
    feed = {x: rng.normal(size=(2, 7, 6, 4)), W: rng.normal(size=(3, 2, 2, 6))}
    jobs, expected = [], []
    for node in nodes:
        head = mf.Sum(mf.Tanh(node) * node)
        for fed in (feed, feed | {seed: 5}, feed | {seed: -1}):
            compiled = mf.compile(head, [x, W], backend="reference")
            compiled(fed)
            jobs.append(Job(compiled.program, [arguments_of(compiled, fed)]))
            value, gradients = mf.value_and_grad(head, fed, [x, W])
            expected.append([value, *gradients])
    for (told,), wanted in zip(run(jobs), expected, strict=True):
        assert told.error is None, told.error
        results = told.results[: len(wanted)]  # without new values of states
        for ours, theirs in zip(results, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_conditions_and_whole_numbers_agree_with_the_interpreter():
    x, y = mf.Input("x"), mf.Input("y")
    whole, bytes_ = np.array([[3, -2, 0], [1, 2, 127]]), np.uint8([[200, 2, 0], [1, 255, 127]])
    floats = np.array([[0.5, -2.0, np.nan], [1.0, np.inf, -0.0]], np.float32)
    conditions = [x < y, x <= y, x > y, x >= y, mf.Equal(x, y), mf.NotEqual(x, y)]
    conditions += [mf.And(x, y), mf.Or(x, y), mf.Not(x)]
    choosing = [mf.Where(mf.Or(x < 1, mf.Equal(y, 2)), x * 2.0, y / 4)]
    arithmetic = [x + y, x - y, x * y, -x, x**2, x / y, x - 128, mf.Add(x, y, x), mf.Sum(x * x)]
    jobs, expected = [], []
    for a, b in ((bytes_, bytes_), (bytes_, whole), (whole, floats), (floats, bytes_)):
        for node in (*conditions, *choosing, *arithmetic):
            feed = {n: v for n, v in ((x, a), (y, b)) if n in ancestors_in_order(node)}
            compiled = mf.compile(node, backend="reference")
            compiled(feed)
            jobs.append(Job(compiled.program, [arguments_of(compiled, feed)]))
            expected.append((node, mf.value(node, feed)))
    for (told,), (node, wanted) in zip(run(jobs), expected, strict=True):
        assert told.error is None, f"{node}: {told.error}"
        np.testing.assert_allclose(told.results[0], wanted, rtol=1e-6, err_msg=f"{node}")


def test_whole_numbers_that_leave_int64_are_an_error_there_too():
    x = mf.Input("x")
    jobs = []
    for node, fits, leaves in (
        (x + 1, 2**63 - 2, 2**63 - 1),
        (x * x, 3037000499, 3037000500),
        (-x, -(2**63) + 1, -(2**63)),
        (x**3, 2097151, 2097152),
    ):
        compiled = mf.compile(node, backend="reference")
        compiled({x: np.array([fits])})
        runs = [arguments_of(compiled, {x: np.array([fits])}), [np.array([leaves])]]
        jobs.append(Job(compiled.program, runs))
    for fitting, leaving in run(jobs):
        assert fitting.error is None
        assert "out of bounds" in str(leaving.error)


@pytest.mark.parametrize(
    "optimizer",
    [mf.SGD(0.1), mf.SGD(0.1, momentum=0.9), mf.Adam(0.01)],
    ids=["sgd", "momentum", "adam"],
)
def test_optimizers_of_a_compiled_graph(optimizer):
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W, b = mf.Parameter(rng.standard_normal((5, 3)), "W"), mf.Parameter(np.zeros(3), "b")
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, W, b), y)
    step = mf.compile(loss, optimizer=optimizer, backend="reference")
    feed = {X: rng.standard_normal((8, 5)), y: rng.integers(0, 3, 8)}
    step(feed)
    arguments = arguments_of(step, feed)
    ((told,),) = run([Job(step.program, [arguments])])
    assert told.error is None
    names = [entry.variable.name for entry in step.program.inputs]
    for parameter in (W, b):
        ours = told.arguments[names.index(parameter.name)]
        np.testing.assert_allclose(ours, parameter.value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 5), (7,), (4, 2, 3)])
def test_dropout_draws_the_same_numbers_and_no_bigint_in_its_loops(shape):
    x, seed = mf.Input("x"), mf.Seed()
    streams = [mf.Dropout(x, seed, 0.4) for _ in range(2)]
    compiled = mf.compile(streams[0] + 2.0 * streams[1], backend="numpy")
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    feeds = [{x: values, seed: number} for number in (0, 1, 2**32 + 5, 2**63 - 1)]
    expected = [compiled(feed) for feed in feeds]
    code = to_javascript(compiled.program)
    loops = re.findall(r"for \(let \w+ = .*?\n    }", code, re.DOTALL)
    assert any("imul" in loop for loop in loops)
    assert not any(re.search(r"BigInt|\dn\b", loop) for loop in loops)
    [told] = run([Job(compiled.program, [arguments_of(compiled, feed) for feed in feeds])])
    for one, value in zip(told, expected, strict=True):
        assert np.array_equal(one.results[0], value)


def recurrent_step(items):
    """The program of a training step of a recurrent network, and arguments for it."""
    rng = np.random.default_rng(0)
    xs, y = mf.Input("xs"), mf.Input("y")
    U, W, V = (
        mf.Parameter(0.4 * rng.normal(size=s), n)
        for s, n in (((3, 4), "U"), ((4, 4), "W"), ((4, 2), "V"))
    )
    inner = mf.scan(lambda h, x: mf.Tanh(x @ U + h @ W), np.zeros((2, 4)), xs)
    outer = mf.scan(lambda s, h: mf.Sigmoid(s * h + 0.1), 0.5 * inner[-1], inner, reverse=True)
    loss = mf.CrossEntropyWithSoftmax(outer[0] @ V, y)
    step = mf.compile(loss, optimizer=mf.SGD(0.3), backend="reference")
    feed = {xs: rng.normal(size=(items, 2, 3)), y: np.array([0, 1])}
    step(feed)
    return step.program, arguments_of(step, feed)


def test_training_step_of_a_recurrent_network():
    program, arguments = recurrent_step(5)
    for p in (program, optimize(program, find("javascript").passes)):
        assert_all_agree([Job(p, [arguments])], signed_zeros=False)


def test_text_of_a_loop_does_not_grow_with_the_number_of_items():
    texts = [to_javascript(recurrent_step(items)[0]) for items in (40, 80)]
    assert len({text.count("\n") for text in texts}) == 1
