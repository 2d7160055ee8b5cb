"""The mode of the floating-point unit while compiled code runs.

Whoever runs a step may have told the processor to flush small numbers to zero, or to round another
way; some libraries do, for the whole process. A step's bits shall not depend on that. So each run
sets the usual mode, in which nothing is flushed and what is rounded goes to the nearest, and puts
back what was there.
"""

from __future__ import annotations

from typing import Final

_RUN: Final = "define i64 @run(ptr %segment)"
_USUAL: Final = 0x1F80  # of x86: all exceptions masked, nothing flushed, rounded to the nearest
_X86: Final = f"""
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
{_RUN} nounwind {{
  %before = alloca i32
  %usual = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %before)
  store i32 {_USUAL}, ptr %usual
  call void @llvm.x86.sse.ldmxcsr(ptr %usual)
  %result = call i64 @all(ptr %segment)
  call void @llvm.x86.sse.ldmxcsr(ptr %before)
  ret i64 %result
}}
"""
_ARM: Final = f"""
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
{_RUN} nounwind {{
  %before = call i64 @llvm.aarch64.get.fpcr()
  call void @llvm.aarch64.set.fpcr(i64 0)
  %result = call i64 @all(ptr %segment)
  call void @llvm.aarch64.set.fpcr(i64 %before)
  ret i64 %result
}}
"""


def in_usual_mode(text: str, triple: str) -> str:
    """Return the text of a function ``i64 run(ptr segment)`` that sets the mode first, and puts the
    one before back.

    >>> print(in_usual_mode("define i64 @run(ptr %segment) { ret i64 0 }", "riscv64-linux"))
    define i64 @run(ptr %segment) { ret i64 0 }
    """
    processor = triple.split("-")[0]
    wrapper = {"x86_64": _X86, "aarch64": _ARM, "arm64": _ARM}.get(processor)
    if wrapper is None:
        return text
    return text.replace(_RUN, "define internal i64 @all(ptr %segment) noinline") + wrapper
