"""The order of sums (`lowering.sums`) in LLVM's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from miniflow.backends.native.llvm import LLVM_TYPES
from miniflow.lowering.nests import Accumulate, Loop
from miniflow.lowering.sums import LANES, LONGEST_CHAIN


def dtypes_of_terms(loop: Loop, totals: Mapping[str, str]) -> dict[str, str]:
    """In which dtype the terms of each total go through its buffer: float32 that is added up in
    float64 becomes that on its way out, so that the loop has vectors of one width.
    """
    kept = dict(totals)
    for statement in loop.body:
        if isinstance(statement, Accumulate) and totals.get(statement.name) == "f64":
            value = statement.value
            if value.op == "cast" and value.operands[0].dtype == "f32":
                kept[statement.name] = "f32"
    return kept


@cache
def print_sums(dtype: str, kept: str) -> str:
    """Return LLVM's text of two functions: `add_up.*(lanes, buffer, n, count)` adds n terms to the
    partial sums, unless the `count` of all terms is one for a chain; `total.*(lanes, buffer, count,
    before)` returns the total. The terms are `kept` in the buffer in a dtype that may be narrower.
    """
    return "\n".join([*_add_up(dtype, kept), *_total(dtype, kept)])


def _loaded(dtype: str, kept: str, word: str, where: str, lanes: str = "") -> Iterable[str]:
    """Load a term, or a vector of them, in the dtype of the sum."""
    real, narrow = LLVM_TYPES[dtype], LLVM_TYPES[kept]
    align = {"f32": 4, "f64": 8}[kept]
    to, of = (f"<{lanes} x {kind}>" if lanes else kind for kind in (real, narrow))
    if dtype == kept:
        return (f"{word} = load {to}, ptr {where}, align {align}",)
    return (
        f"{word}.kept = load {of}, ptr {where}, align {align}",
        f"{word} = fpext {of} {word}.kept to {to}",
    )


def _add_up(dtype: str, kept: str) -> Iterable[str]:
    real, narrow = LLVM_TYPES[dtype], LLVM_TYPES[kept]
    vector = f"<{LANES} x {real}>"
    return (
        f"define internal void @add_up.{dtype}.{kept}(ptr %lanes, ptr %buffer, i64 %n, i64 %count) "
        "alwaysinline nounwind {",
        "entry:",
        f"%is_chain = icmp sle i64 %count, {LONGEST_CHAIN}",
        "br i1 %is_chain, label %done, label %vectors",
        "vectors:",
        f"%whole = and i64 %n, {-LANES}",
        f"%lanes.0 = load {vector}, ptr %lanes, align 64",
        "%any = icmp sgt i64 %whole, 0",
        "br i1 %any, label %vector, label %summed",
        "vector:",
        "%i = phi i64 [0, %vectors], [%i.1, %vector]",
        f"%lanes.1 = phi {vector} [%lanes.0, %vectors], [%lanes.2, %vector]",
        f"%from = getelementptr inbounds {narrow}, ptr %buffer, i64 %i",
        *_loaded(dtype, kept, "%terms", "%from", str(LANES)),
        f"%lanes.2 = fadd {vector} %lanes.1, %terms",
        f"%i.1 = add nuw nsw i64 %i, {LANES}",
        "%more = icmp slt i64 %i.1, %whole",
        "br i1 %more, label %vector, label %summed",
        "summed:",
        f"%lanes.3 = phi {vector} [%lanes.0, %vectors], [%lanes.2, %vector]",
        f"store {vector} %lanes.3, ptr %lanes, align 64",
        "%is_rest = icmp slt i64 %whole, %n",
        "br i1 %is_rest, label %rest, label %done",
        "rest:",
        "%r = phi i64 [%whole, %summed], [%r.1, %rest]",
        "%lane = sub nuw nsw i64 %r, %whole",
        f"%to = getelementptr inbounds {real}, ptr %lanes, i64 %lane",
        f"%before = load {real}, ptr %to",
        f"%term.at = getelementptr inbounds {narrow}, ptr %buffer, i64 %r",
        *_loaded(dtype, kept, "%term", "%term.at"),
        f"%after = fadd {real} %before, %term",
        f"store {real} %after, ptr %to",
        "%r.1 = add nuw nsw i64 %r, 1",
        "%again = icmp slt i64 %r.1, %n",
        "br i1 %again, label %rest, label %done",
        "done:",
        "ret void",
        "}",
    )


def _total(dtype: str, kept: str) -> Iterable[str]:
    real, narrow = LLVM_TYPES[dtype], LLVM_TYPES[kept]
    vector = f"<{LANES} x {real}>"
    lines = [
        f"define internal {real} @total.{dtype}.{kept}(ptr %lanes, ptr %buffer, i64 %count, "
        f"{real} %before) alwaysinline nounwind {{",
        "entry:",
        f"%is_chain = icmp sle i64 %count, {LONGEST_CHAIN}",
        "br i1 %is_chain, label %chain, label %tree",
        "chain:",
        "%any = icmp sgt i64 %count, 0",
        "br i1 %any, label %link, label %none",
        "none:",
        f"ret {real} %before",
        "link:",
        "%i = phi i64 [0, %chain], [%i.1, %link]",
        f"%sum = phi {real} [%before, %chain], [%sum.1, %link]",
        f"%from = getelementptr inbounds {narrow}, ptr %buffer, i64 %i",
        *_loaded(dtype, kept, "%term", "%from"),
        f"%sum.1 = fadd {real} %sum, %term",
        "%i.1 = add nuw nsw i64 %i, 1",
        "%more = icmp slt i64 %i.1, %count",
        "br i1 %more, label %link, label %linked",
        "linked:",
        f"ret {real} %sum.1",
        "tree:",
        f"%half.{LANES} = load {vector}, ptr %lanes, align 64",
    ]
    width = LANES
    while width > 1:
        wide, width = width, width // 2
        kind = f"<{wide} x {real}>"
        for word, first in (("a", 0), ("b", width)):
            order = ", ".join(f"i32 {first + lane}" for lane in range(width))
            lines.append(
                f"%{word}.{width} = shufflevector {kind} %half.{wide}, {kind} poison, "
                f"<{width} x i32> <{order}>"
            )
        lines.append(f"%half.{width} = fadd <{width} x {real}> %a.{width}, %b.{width}")
    return [
        *lines,
        f"%all = extractelement <1 x {real}> %half.1, i32 0",
        f"%with_before = fadd {real} %before, %all",
        f"ret {real} %with_before",
        "}",
    ]
