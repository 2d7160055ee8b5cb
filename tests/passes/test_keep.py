"""What a loop computes is kept, where it would be computed once more after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import layers
from miniflow.backends import find
from miniflow.ir import DTYPES, Builder, Program, ProgramError, check, cost, evaluate
from miniflow.ir.loop import body_of
from miniflow.passes import TIDY, hoist_costly, keep, optimize
from miniflow.passes.keep import all_turns

from .random_loops import RandomLoop


def training(make: Any, masked: bool, turns: int) -> tuple[Program, list[Any]]:
    """A training step of a network on sequences, and arguments for it."""
    rng = np.random.default_rng(0)
    X, y = mf.Input("X", shape=(turns, 2), dtype=np.float64), mf.Input("y")
    shown = mf.Input("shown", shape=(turns,), dtype=bool)
    layer = make(3, bidirectional=True, mask=shown if masked else None, rng=0)
    step = mf.compile(mf.MSE(layer(X), y), optimizer=mf.SGD(0.1), backend="reference")
    feed = {X: rng.normal(size=(4, turns, 2)), y: rng.normal(size=(4, 6))}
    step(feed | ({shown: np.ones((4, turns), bool)} if masked else {}))
    types = [entry.variable.type for entry in step.program.inputs]
    given: list[Any] = [
        rng.random(t.shape) < 0.6 if t.dtype == "bool" else rng.normal(size=t.shape) for t in types
    ]
    given = [
        0.1 if not t.shape else x.astype(DTYPES[t.dtype]) for t, x in zip(types, given, strict=True)
    ]
    return step.program, given


def outside(program: Program) -> set[str]:
    """What is computed outside of the loops."""
    return {e.primitive for e in program.equations if body_of(e) is None}


@pytest.mark.parametrize(("masked", "turns"), [(False, 4), (True, 3), (True, 2), (False, 1)])
@pytest.mark.parametrize("make", [layers.RNN, layers.GRU, layers.LSTM])
def test_way_back_computes_no_gate_anew(make: Any, masked: bool, turns: int) -> None:
    program, given = training(make, masked, turns)
    kept = optimize(program, find("native").passes)
    check(kept)
    found, wanted = evaluate(kept, given), evaluate(program, given)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert not outside(kept) & {"exp", "tanh"}
    before = cost(optimize(program, (*TIDY, hoist_costly))).total
    assert cost(kept).total.flops <= before.flops
    assert turns == 1 or make is layers.RNN or cost(kept).total.flops < 0.95 * before.flops
    assert str(keep(kept)) == str(kept)


def scanned(step: Any, then: Any) -> Program:
    """What `then` makes of all states of a loop, with its gradient."""
    xs, W = mf.Input("xs"), mf.Parameter(np.eye(3), "W")
    loss = then(mf.scan(lambda h, x: step(h, x, W), np.zeros((2, 3)), xs))
    compiled = mf.compile(loss, wrt=[W], backend="reference")
    compiled({xs: np.ones((5, 2, 3))})
    return optimize(compiled.program, (*TIDY, hoist_costly))


def test_what_takes_a_few_cycles_is_computed_again() -> None:
    program = scanned(lambda h, x, W: mf.Tanh(h @ W + x) * 0.5, mf.Sum)
    kept = keep(program)
    shown = [b.outputs[1].operand for e in kept.equations if (b := body_of(e)) and b.outputs[1:]]
    made = {e.result: e.primitive for e in kept.equations for e in (body_of(e) or kept).equations}
    # The hyperbolic tangent, of which the slope is computed; of the gradients, what a product made.
    assert {made[value] for value in shown} <= {"tanh", "multiply"}
    assert "tanh" in {made[value] for value in shown}


def test_what_nobody_reads_again_is_not_kept() -> None:
    xs = mf.Input("xs")
    states = mf.scan(lambda h, x: mf.Tanh(mf.Sin(h) + x), np.zeros((2, 3)), xs)
    compiled = mf.compile(states, backend="reference")
    compiled({xs: np.ones((5, 2, 3))})
    assert str(keep(compiled.program)) == str(compiled.program)


def test_what_a_loop_reads_is_none_of_what_it_computes() -> None:
    """The only turn of the way back multiplies what it is handed by 1: it is that, once more."""
    xs, first = mf.Input("xs"), mf.Parameter(np.array([[0.5], [2.0]]), "first")
    loss = mf.Sum(mf.scan(lambda h, x: mf.RMSNorm(h + x), first, xs))
    compiled = mf.compile(loss, wrt=[first], backend="reference")
    wanted, (gradient,) = compiled({xs: np.ones((1, 2, 1))})
    kept = optimize(compiled.program, find("native").passes)
    check(kept)
    found = evaluate(kept, [first.value, np.ones((1, 2, 1))])
    assert found[0] == wanted
    np.testing.assert_allclose(found[1], gradient, rtol=1e-9)


def test_kept_values_have_their_place_in_the_text() -> None:
    text = str(keep(scanned(lambda h, x, W: mf.Tanh(h @ W + x) * 0.5, mf.Sum)))
    assert "the history of" in text
    assert text.count("tanh(") == 1


def with_all_turns(program: Program) -> Program:
    """The program, and what its loop has computed of the state, once more: sums of it all."""
    loop = next(e for e in program.equations if e.primitive == "scan")
    written = Builder()
    written.inputs += program.inputs
    written.equations += program.equations
    outputs: list[Any] = [output.operand for output in program.outputs]
    for _, inner, stack in list(all_turns(loop, written)):
        if inner.primitive not in ("full", "broadcast_to"):
            outputs.append(written.add("negative", (stack,)))
    return written.program(outputs)


def test_random_loops_show_what_they_compute() -> None:
    native, count = find("native"), 0
    for seed in range(40):
        loop = RandomLoop(seed, length=8)
        if loop.program.equations[0].result.shape[1:] == ():
            continue
        program = with_all_turns(loop.program)
        try:
            wanted = evaluate(program, loop.arguments)
        except ProgramError:  # an axis of length 0 is indexed
            continue
        kept = keep(program)
        check(kept)
        shown = sum(len(body.outputs) > 1 for e in kept.equations if (body := body_of(e)))
        count += shown
        found = [evaluate(kept, loop.arguments)]
        if shown and native.available() and seed % 4 == 0:
            found.append(native.lower(kept).run(loop.arguments))
        for values in found:
            for a, b in zip(values, wanted, strict=True):
                rtol = 2e-3 if np.asarray(b).dtype == np.float32 else 1e-6
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=f"seed {seed}")
    assert count > 20
