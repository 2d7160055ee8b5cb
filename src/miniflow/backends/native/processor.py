"""What the processor has: asked here, of llvmlite, and nowhere else.

`find_processor` asks at each call, so that whoever replaces llvmlite's answers (a test) is heard,
and what it returns is part of the key under which machine code is kept.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# By LLVM's name of a feature: bytes of a vector, how many vectors there are, and whether a part of
# one can be loaded and stored. The first that a processor has counts.
_VECTORS: Final = (
    ("avx512f", 64, 32, True),
    ("avx2", 32, 16, True),
    ("avx", 32, 16, True),
    ("neon", 16, 32, False),
    ("sse2", 16, 16, False),
)


WITH_FMA: Final = "any processor with fused multiply-add"
WITHOUT_FMA: Final = "processors without fused multiply-add"
NO_FMA: Final = (
    "this processor has no fused multiply-add, so the last bits are not those of one that has it"
)


class Processor(NamedTuple):
    """A processor, as far as compiled code depends on it.

    `name` and `features` are LLVM's. A vector has `nbytes` bytes; there are `registers` of them.
    `has_fma`: whether it multiplies and adds in one step, rounded once.
    """

    name: str
    features: str
    nbytes: int
    registers: int
    has_masks: bool
    has_fma: bool


def find_processor() -> Processor:
    """Ask llvmlite for the processor that this process runs on."""
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    name = str(llvm.get_host_cpu_name())
    try:
        features = dict(llvm.get_host_cpu_features())
    except RuntimeError:  # LLVM does not know it of every processor
        features = {}
    return describe(name, features, llvm.get_process_triple())


def remark() -> str:
    """What is to be said of bits on this processor; as a rule nothing.

    >>> bool(remark()) != find_processor().has_fma
    True
    """
    return "" if find_processor().has_fma else NO_FMA


def same_bits_on() -> str:
    """Where the results of compiled code have the same bits.

    >>> same_bits_on() in (WITH_FMA, WITHOUT_FMA)
    True
    """
    return WITH_FMA if find_processor().has_fma else WITHOUT_FMA


def describe(name: str, features: dict[str, bool], triple: str) -> Processor:
    """Return the processor of this name, with these of LLVM's features, on a machine of a kind.

    >>> describe("znver3", {"avx2": True, "fma": True}, "x86_64-unknown-linux-gnu")[2:]
    (32, 16, True, True)
    >>> describe("", {}, "x86_64-unknown-linux-gnu")[2:]
    (16, 16, False, False)
    >>> describe("apple-m1", {}, "arm64-apple-darwin23.0.0")[2:]
    (16, 32, False, True)
    """
    is_arm = triple.split("-")[0] in ("aarch64", "arm64")  # where no processor is without these
    has = {"neon": is_arm, "fma": is_arm, "sse2": not is_arm} | features
    if is_arm:
        has["fma"] = True
    found = next((v for v in _VECTORS if has.get(v[0])), _VECTORS[-1])
    flat = ",".join(f"{'+' if on else '-'}{key}" for key, on in sorted(features.items()))
    return Processor(name, flat, *found[1:], has_fma=bool(has["fma"] or has.get("avx512f")))
