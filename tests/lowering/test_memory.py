"""Where values lie, and when: no two live values in one place, updates last and in place."""

from __future__ import annotations

import random

import pytest
from ir.programs import two_layers

from miniflow.ir import Builder, Equation, Output, Program, ValueType, Variable
from miniflow.lowering.aliasing import StorageRule
from miniflow.lowering.memory import MemoryPlan, plan_memory

VIEWS = ("reshape", "transpose", "slice", "broadcast_to")
POINTWISE = ("add", "subtract", "multiply", "divide", "exp", "negative", "maximum")


def storage(equation: Equation) -> StorageRule:
    """Store results as a simple backend would."""
    if equation.result.kind != "array":
        return StorageRule("number")
    if equation.primitive in VIEWS:
        return StorageRule("view")
    if equation.primitive in POINTWISE:
        return StorageRule("buffer", overwrites=(0, 1)[: len(equation.operands)], is_pointwise=True)
    overwrites = (0,) if equation.primitive in ("slice_update", "gather_update") else ()
    scratch = (48,) if equation.primitive == "cumsum" else ()
    may_raise = equation.primitive.startswith("gather")
    return StorageRule("buffer", overwrites, scratch=scratch, may_raise=may_raise)


def planned(program: Program) -> MemoryPlan:
    """MemoryPlan a program and check what holds for every plan."""
    result = plan_memory(program, storage)
    assert_nothing_is_overwritten_too_early(program, result)
    return result


def assert_nothing_is_overwritten_too_early(program: Program, result: MemoryPlan) -> None:
    """Follow the plan: whenever a value is read, its memory still holds it."""
    assert sorted(map(id, result.equations)) == sorted(map(id, program.equations))
    inputs = [entry.variable for entry in program.inputs]
    owners = {place: [None] * size for place, size in enumerate(result.blocks)}  # of each byte
    owners |= {x: [x] * x.type.nbytes for x in inputs}
    part_of = {part: result.root(part) for part in result.offset_of}
    range_of = {x: (x, 0, x.type.nbytes) for x in inputs}

    def own(variable: Variable, place: object, start: int, nbytes: int) -> None:
        assert start + nbytes <= len(owners[place])
        owners[place][start : start + nbytes] = [variable] * nbytes
        range_of[variable] = place, start, nbytes

    def read(variable: Variable) -> None:
        root = variable if variable in part_of else result.root(variable)
        if root not in range_of:  # a number, or a view of parts of what is not yet complete
            root = next((part for part, whole in part_of.items() if whole is root), None)
        if root is not None:
            place, start, nbytes = range_of[root]
            whole = part_of.get(root, root)
            for owner in owners[place][start : start + nbytes]:
                assert owner is root or owner is whole, f"{root} is gone"

    for equation in result.equations:
        kind = storage(equation).kind
        for operand in equation.operands:
            if isinstance(operand, Variable) and kind != "view":
                read(operand)
        for block in result.scratch.get(equation, ()):
            owners[block] = [equation.result] * len(owners[block])
        variable = equation.result
        if kind == "buffer":
            place = result.block_of.get(variable, result.updated.get(variable, variable))
            if place is variable:  # it is returned
                owners[place] = [None] * variable.type.nbytes
            own(variable, place, result.offset_of.get(variable, 0), variable.type.nbytes)
    for output in program.outputs:
        if isinstance(output.operand, Variable):
            read(output.operand)
        if output.replaces is not None and isinstance(output.operand, Variable):
            is_copied = (output.replaces, output.operand) in result.copies
            assert is_copied != (result.updated.get(output.operand) is output.replaces)


def vectors(b: Builder, *names: str, role: str = "fed", n: int = 8) -> list[Variable]:
    return [b.input(ValueType("f64", (n,)), role, name) for name in names]


def test_a_chain_of_elementwise_equations_needs_one_block():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("exp", (x,))
    for _ in range(5):
        t = b.add("negative", (b.add("add", (t, x)),))
    result = planned(b.program([b.add("sum", (t,), {"axis": (0,), "keepdims": False})]))
    assert result.blocks == (64,)


def test_an_operand_that_is_read_again_is_not_overwritten():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("exp", (x,))
    u = b.add("negative", (t,))
    both = b.add("sum", (b.add("multiply", (t, u)),), {"axis": (0,), "keepdims": False})
    result = planned(b.program([both]))
    assert result.block_of[t] != result.block_of[u]
    assert len(result.blocks) == 2


def test_a_value_may_be_overwritten_by_an_equation_that_reads_it_twice():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("exp", (x,))
    square = b.add("multiply", (t, t))
    result = planned(b.program([b.add("sum", (square,), {"axis": (0,), "keepdims": False})]))
    assert result.block_of[t] == result.block_of[square]


def test_a_value_is_not_overwritten_by_an_equation_that_also_reads_a_view_of_it():
    b = Builder()
    x = b.input(ValueType("f64", (3, 3)))
    t = b.add("exp", (x,))
    t = b.add("add", (t, b.add("transpose", (t,), {"axes": (1, 0)})))
    result = planned(b.program([b.add("sum", (t,), {"axis": (0, 1), "keepdims": False})]))
    assert len(result.blocks) == 2


def test_a_broadcast_operand_is_not_overwritten():
    b = Builder()
    x, row = b.input(ValueType("f64", (3, 3))), b.input(ValueType("f64", (3,)))
    t = b.add("add", (b.add("exp", (row,)), x))
    result = planned(b.program([b.add("sum", (t,), {"axis": (0, 1), "keepdims": False})]))
    assert sorted(result.blocks) == [24, 72]


def test_a_view_keeps_its_base_alive():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("exp", (x,))
    view = b.add("slice", (t,), {"index": ((7, 8, -1),)})
    others = [b.add("negative", (x,)) for _ in range(3)]
    total = b.add("add", (view, others[0]))
    total = b.add("add", (total, b.add("add", (others[1], others[2]))))
    result = planned(b.program([b.add("sum", (total,), {"axis": (0,), "keepdims": False})]))
    assert result.root(view) is t


def test_a_result_may_take_over_the_memory_of_what_it_sees_through_a_reshape():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("exp", (x,))
    u = b.add("negative", (b.add("reshape", (t,), {"shape": (2, 4)}),))
    result = planned(b.program([b.add("sum", (u,), {"axis": (0, 1), "keepdims": False})]))
    assert result.block_of[u] == result.block_of[t]


def test_results_that_are_returned_have_no_block():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("exp", (x,))
    result = planned(b.program([t, b.add("negative", (t,))]))
    assert (result.blocks, len(result.returned)) == ((), 2)


def test_a_small_value_does_not_occupy_a_large_block():
    b = Builder()
    large, small = b.input(ValueType("f64", (1000,))), b.input(ValueType("f64", (2,)))
    first = b.add("sum", (b.add("exp", (large,)),), {"axis": (0,), "keepdims": False})
    t = b.add("exp", (small,))
    second = b.add("exp", (large,))
    result = planned(
        b.program(
            [
                first,
                b.add(
                    "sum",
                    (b.add("add", (second, b.add("sum", (t,), {"axis": (0,), "keepdims": True}))),),
                    {"axis": (0,), "keepdims": False},
                ),
            ]
        )
    )
    assert sum(result.blocks) < 8100


def test_memory_to_work_with_is_used_again():
    b = Builder()
    (x,) = vectors(b, "x")
    t = b.add("cumsum", (b.add("cumsum", (b.add("exp", (x,)),), {"axis": 0}),), {"axis": 0})
    result = planned(b.program([b.add("sum", (t,), {"axis": (0,), "keepdims": False})]))
    assert len(result.blocks) == 3
    for equation, scratch in result.scratch.items():
        assert result.block_of[equation.result] not in scratch


def updating(build) -> tuple[Program, MemoryPlan]:
    """MemoryPlan a program of parameters p, q, gradients g, h; `build` returns the new values."""
    b = Builder()
    p, q = vectors(b, "p", "q", role="parameter")
    g, h = vectors(b, "g", "h")
    new = build(b, p, q, g, h)
    outputs = [Output(v, "parameter", replaces=old) for old, v in zip((p, q), new, strict=False)]
    program = b.program(outputs)
    return program, planned(program)


def test_a_new_value_is_computed_in_the_memory_of_the_old_one():
    _, result = updating(lambda b, p, q, g, h: [b.add("subtract", (p, b.add("exp", (g,))))])
    assert [replaced.name for replaced in result.updated.values()] == ["p"]
    assert not result.copies
    assert result.first_update == 1


def test_a_chain_that_begins_with_the_old_value_is_computed_in_its_memory():
    def momentum(b, p, q, g, h):
        velocity = b.add("add", (g, b.add("multiply", (p, 0.9))))
        return velocity, b.add("subtract", (q, velocity))

    _, result = updating(momentum)
    assert (result.blocks, result.copies, len(result.updated)) == ((), (), 3)


def test_the_old_value_is_read_before_it_is_replaced():
    def late_reader(b, p, q, g, h):
        new_p = b.add("subtract", (p, g))
        return new_p, b.add("subtract", (q, b.add("multiply", (p, h))))

    program, result = updating(late_reader)
    assert not result.copies
    positions = {e.result: i for i, e in enumerate(result.equations)}
    assert positions[program.outputs[0].operand] > positions[program.equations[1].result]


def test_what_cannot_be_written_over_is_computed_elsewhere_and_copied():
    def sums(b, p, q, g, h):
        return (b.add("cumsum", (p,), {"axis": 0}),)

    _, result = updating(sums)
    assert (len(result.updated), len(result.copies)) == (0, 1)


def test_a_chain_does_not_lose_the_old_value_that_it_reads_at_its_end():
    def mirrored(b, p, q, g, h):
        mirror = b.add("slice", (p,), {"index": ((7, 8, -1),)})
        return (b.add("add", (b.add("multiply", (p, 0.9)), mirror)),)

    _, result = updating(mirrored)
    assert (len(result.updated), len(result.copies)) == (0, 1)


def test_a_chain_whose_middle_is_read_elsewhere_is_not_computed_in_place():
    def read_twice(b, p, q, g, h):
        decayed = b.add("multiply", (p, 0.9))
        return b.add("add", (decayed, g)), b.add("subtract", (q, decayed))

    program, result = updating(read_twice)
    assert program.equations[0].result not in result.updated
    assert len(result.updated) == 2


def test_a_chain_that_may_raise_is_not_computed_in_place():
    b = Builder()
    (p,), (g,) = vectors(b, "p", role="parameter"), vectors(b, "g")
    at = b.input(ValueType("i64", (8,)), name="at")
    written = b.add("gather_update", (p, g, at), {"axes": (0,)})
    new = b.add("add", (written, g))
    result = planned(b.program([Output(new, "parameter", replaces=p)]))
    assert list(result.updated) == [new]
    assert result.first_update == 1


def test_values_that_are_swapped_go_through_other_memory():
    def swap(b, p, q, g, h):
        return b.add("add", (q, g)), b.add("add", (p, g))

    _, result = updating(swap)
    assert len(result.updated) + len(result.copies) == 2
    assert result.copies


def test_one_new_value_for_two_inputs_is_copied_into_the_second():
    def tied(b, p, q, g, h):
        return (b.add("add", (g, h)),) * 2

    _, result = updating(tied)
    assert len(result.updated) == len(result.copies) == 1


def test_nothing_that_may_raise_comes_after_an_update():
    b = Builder()
    p, q = vectors(b, "p", "q", role="parameter")
    at = b.input(ValueType("i64", (3,)), name="at")
    new_p = b.add("negative", (p,))
    picked = b.add("gather", (new_p, at), {"axes": (0,)})
    new_q = b.add("add", (q, b.add("sum", (picked,), {"axis": (0,), "keepdims": True})))
    later = b.add("gather", (q, at), {"axes": (0,)})
    outputs = [Output(b.add("negative", (later,)))]
    outputs += [Output(v, "parameter", replaces=r) for r, v in ((p, new_p), (q, new_q))]
    result = planned(b.program(outputs))
    raising = [i for i, e in enumerate(result.equations) if e.primitive == "gather"]
    assert max(raising) < result.first_update
    assert [replaced for replaced, _ in result.copies] == [p]


def test_the_update_of_two_layers_takes_no_memory_of_its_own():
    program = two_layers(16, 8, 4, 3)
    result = plan_memory(program, storage)
    assert_nothing_is_overwritten_too_early(program, result)
    assert len(result.updated) == 4
    assert not result.copies


def test_the_parts_of_a_concatenation_are_computed_in_their_places():
    b = Builder()
    x, y = vectors(b, "x", "y")
    parts = [b.add("add", (x, y)), b.add("multiply", (x, y))]
    whole = b.add("concatenate", parts, {"axis": 0})
    total = b.add("sum", (whole,), {"axis": (0,), "keepdims": False})
    result = planned(b.program([total]))
    assert result.offset_of == {parts[0]: 0, parts[1]: 64}
    assert len({result.block_of[v] for v in (*parts, whole)}) == 1


def test_parts_that_must_lie_elsewhere_are_copied():
    b = Builder()
    x, y = vectors(b, "x", "y")
    returned, twice = b.add("add", (x, y)), b.add("multiply", (x, y))
    wholes = [
        b.add("concatenate", parts, {"axis": 0})
        for parts in ([x, twice], [returned, twice], [twice, twice])
    ]
    ends = [b.add("sum", (w,), {"axis": (0,), "keepdims": False}) for w in wholes]
    assert planned(b.program([returned, *ends])).offset_of == {}


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_never_read_what_was_overwritten(seed):
    rng, b = random.Random(seed), Builder()
    values = vectors(b, "x", "y") + vectors(b, "p", "q", role="parameter")
    inputs = values[:]
    for _ in range(rng.randrange(1, 40)):
        recent = values[-6:] + inputs
        match rng.randrange(8):
            case 0:
                index = {"index": ((7, 8, -1),)}
                values.append(b.add("slice", (rng.choice(recent),), index))
            case 1:
                square = b.add("reshape", (rng.choice(recent),), {"shape": (2, 4)})
                values.append(b.add("reshape", (b.add("exp", (square,)),), {"shape": (8,)}))
            case 2:
                base, value = (
                    rng.choice(recent),
                    b.add("slice", (rng.choice(recent),), {"index": ((0, 2, 1),)}),
                )
                values.append(b.add("slice_update", (base, value), {"index": ((3, 2, 2),)}))
            case 3:
                whole = b.add("concatenate", rng.choices(values[-3:], k=2), {"axis": 0})
                values.append(b.add("slice", (whole,), {"index": ((4, 8, 1),)}))
            case _:
                values.append(b.add(rng.choice(POINTWISE[:4]), rng.choices(recent, k=2)))
    stored = [
        e.result for e in b.equations if storage(e).kind == "buffer" and e.result.shape == (8,)
    ]
    if len(stored) < 4:
        return
    chosen = rng.sample(stored, 4)
    outputs = [Output(chosen[0]), Output(chosen[1])]
    outputs += [
        Output(v, "parameter", replaces=old) for v, old in zip(chosen[2:], inputs[2:], strict=True)
    ]
    planned(b.program(outputs))


def test_values_that_live_at_once_have_blocks_of_their_own():
    b = Builder()
    (x,) = vectors(b, "x")
    kept = [b.add("exp", (x,)) for _ in range(1000)]
    total = x
    for value in kept:
        total = b.add("add", (total, value))
    result = planned(b.program([b.add("sum", (total,), {"axis": (0,), "keepdims": False})]))
    assert len(result.blocks) == len({result.block_of[value] for value in kept}) == 1000


def test_a_part_of_a_concatenation_is_not_written_over_though_it_is_a_reshape():
    b = Builder()
    x, y = b.input(ValueType("f64", (4,))), b.input(ValueType("f64", (2, 4)))
    copied = b.add("reshape", (b.add("exp", (y,)),), {"shape": (8,)})
    whole = b.add("concatenate", (b.add("exp", (x,)), copied), {"axis": 0})
    total = b.add("sum", (whole,), {"axis": (0,), "keepdims": False})
    later = b.add("negative", (copied,))  # the last to read anything of the whole
    program = b.program([total, b.add("exp", (later,))])

    def copying(equation: Equation) -> StorageRule:
        return StorageRule("buffer") if equation.primitive == "reshape" else storage(equation)

    result = plan_memory(program, copying)
    assert result.offset_of[copied] == 4 * 8
    assert result.block_of[later] != result.block_of[whole]
