"""From a kernel to machine code in this process.

A kernel is printed in LLVM's language (`print_llvm`), optimised and compiled by LLVM, which the
package llvmlite brings, for the very processor that this runs on; or its machine code is found on
disk (`cache`), by its text. A process loads each text once and keeps it.

Loops are vectorised by LLVM. No flag lets it assume that there is no NaN and no infinity, or take
another order: what is added up in which order, the text says (`sums`).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from miniflow.backends import cache
from miniflow.backends.native import calling, sharing
from miniflow.backends.native.floating_point import in_usual_mode
from miniflow.backends.native.in_order import in_order_text
from miniflow.backends.native.processor import Processor, find_processor
from miniflow.errors import CompileError
from miniflow.locks import Lock

if TYPE_CHECKING:
    from miniflow.lowering.nests import Kernel

OLDEST_LLVM = (20, 0, 0)

_lock = Lock()


class Address(int):
    """Where a routine is in this process; `key` is the name of its machine code on disk."""

    key: str


def is_available() -> bool:
    """Whether llvmlite can be imported, and can compile for this machine."""
    try:
        return bool(_machine())
    except (ImportError, OSError, RuntimeError, CompileError):
        return False


def kernel_address(kernel: Kernel, sizes: Mapping[str, int] | None = None) -> Address:
    """Return the address of the machine code of a kernel; it may count on `sizes`, if it is handed
    those and no others.
    """
    from miniflow.backends.native import print_llvm, print_rows

    by_rows = print_rows.print_by_rows(kernel, sizes, processor()) if sizes else None
    has_fma = processor().has_fma
    return routine(by_rows or print_llvm.print_kernel(kernel, has_fma, sizes=sizes))


def routine(text: str) -> Address:
    """Return the address of the function `run` of a text in LLVM's language."""
    with _lock:
        return _load_once(text, False)


def final_routine(text: str) -> Address:
    """Return the same of a text that LLVM's passes would make no better: it is translated only."""
    with _lock:
        return _load_once(text, True)


def kept_routines(keys: Sequence[str]) -> list[Address] | None:
    """Return the addresses of the functions whose machine code has these names, which is on disk
    unless it is in this process already; None if it is not.
    """
    with _lock:
        new = list(dict.fromkeys(key for key in keys if key not in _loaded))
        for key, code in zip(new, cache.read_all(new), strict=True):
            if code is None:
                return None
            _load(key, code)
        return [_loaded[key] for key in keys]


def fingerprint() -> bytes:
    """Return a hash of what machine code depends on, beside its text."""
    return _machine().fingerprint


def processor() -> Processor:
    """Return the processor for which machine code is made in this process."""
    return _machine().processor


def runner() -> Any:
    """Return the function that runs steps, given the address of what `calling.RUN` asks for.

    It lets go of Python's global lock meanwhile.
    """
    with _lock:
        return _runner()


def shared_runner() -> Any:
    """Return the same with workers: the address is of what `sharing.shared_run_text` asks for."""
    with _lock:
        return _shared_runner()


def shared_step() -> Address:
    """Return the address of the step that is done in pieces."""
    return routine(sharing.shared_step_text(processor_kind()))


def in_order() -> Address:
    """Return the address of the step of a piece that waits for that of the one before."""
    return routine(in_order_text(processor_kind()))


def series_runner(is_shared: bool) -> Any:
    """Return the function that runs steps many times, given the address of what
    `calling.series_text` asks for; with workers or without.
    """
    with _lock:
        return _series_runner(is_shared)


def sequence() -> Address:
    """Return the address of the step that is several."""
    return routine(calling.SEQUENCE)


def some_turns() -> Address:
    """Return the address of the step that is some turns of a loop of steps."""
    return routine(calling.TURNS)


def worker() -> int:
    """Return the address of what a worker does, a function ``ptr (ptr)``."""
    return routine(in_usual_mode(sharing.worker_text(processor_kind()), _machine().triple))


def processor_kind() -> str:
    """Return the kind of the processor, as LLVM calls it: ``x86_64``, ``aarch64``."""
    kind = str(_machine().triple.split("-")[0])
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(kind, kind)


def turn() -> Address:
    """Return the address of the function that ends a turn of a loop."""
    return routine(calling.TURN)


@functools.cache
def _runner() -> Any:
    text = in_usual_mode(calling.RUN, _machine().triple)
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(routine(text))


@functools.cache
def _shared_runner() -> Any:
    text = in_usual_mode(sharing.shared_run_text(calling.RUN, processor_kind()), _machine().triple)
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(routine(text))


@functools.cache
def _series_runner(is_shared: bool) -> Any:
    text = calling.series_text()
    if is_shared:
        text = sharing.shared_run_text(text, processor_kind())
    text = in_usual_mode(text, _machine().triple)
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(routine(text))


_loaded: dict[str, Address] = {}


@functools.cache
def _load_once(text: str, is_final: bool) -> Address:
    machine = _machine()
    key = machine.key(text + ("; final" if is_final else ""))
    if key not in _loaded:
        code = cache.read(key)
        if code is None:
            code = machine.compile(text.replace("@run(", f"@{key}("), is_final)
            cache.write(key, code)
        _load(key, code)
    return _loaded[key]


def _load(key: str, code: bytes) -> None:
    _loaded[key] = found = Address(_machine().load(code, key))
    found.key = key


@functools.cache
def _machine() -> _Machine:
    with _lock:
        return _Machine()


def _hold_over_forks(llvm: Any) -> None:
    """Let no process fork while another thread of it is in LLVM: the child would wait for ever, as
    llvmlite's lock, which it copies, would be opened by nobody.
    """
    lock: Any = getattr(getattr(llvm.ffi, "lib", None), "_lock", None)
    if hasattr(os, "register_at_fork") and hasattr(lock, "__enter__"):

        def leave() -> None:
            lock.__exit__(None, None, None)

        os.register_at_fork(before=lock.__enter__, after_in_parent=leave, after_in_child=leave)


class _Machine:
    """LLVM, set up for this processor."""

    def __init__(self) -> None:
        import llvmlite  # type: ignore[import-untyped]
        import llvmlite.binding as llvm  # type: ignore[import-untyped]

        if llvm.llvm_version_info < OLDEST_LLVM:
            raise CompileError(
                f"The native backend needs llvmlite 0.45 or newer; this is {llvmlite.__version__}."
            )
        self.llvm = llvm
        _hold_over_forks(llvm)
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        triple = self.triple = llvm.get_process_triple()
        self.processor = find_processor()
        cpu, features = self.processor.name, self.processor.features
        target = llvm.Target.from_triple(triple)
        self.target = target.create_target_machine(cpu=cpu, features=features, opt=2, jit=True)
        self.head = f'target datalayout = "{self.target.target_data}"\ntarget triple = "{triple}"\n'
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(self.head), self.target)
        # What LLVM may turn a loop into.
        for name in ("memset", "memmove", "memcpy"):
            function = ctypes.memset if name == "memset" else ctypes.memmove
            llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
        how = (files(__package__) / "machine.py").read_bytes()  # texts are compiled, by this file
        versions = (llvmlite.__version__, llvm.llvm_version_info, triple, cpu, features, how)
        self.fingerprint = hashlib.sha256(repr(versions).encode()).digest()

    def key(self, text: str) -> str:
        """Return a name for the code of a text, from all that the code depends on."""
        return "k" + hashlib.sha256(self.fingerprint + text.encode()).hexdigest()[:40]

    def compile(self, text: str, is_final: bool = False) -> bytes:
        """Return the machine code of a text in LLVM's language, as an object file."""
        module = self.llvm.parse_assembly(self.head + text)
        module.verify()
        if is_final:
            return bytes(self.target.emit_object(module))
        options = self.llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization, options.slp_vectorization = True, False
        options.loop_interleaving, options.loop_unrolling = True, False
        builder = self.llvm.create_pass_builder(self.target, options)
        builder.getModulePassManager().run(module, builder)
        return bytes(self.target.emit_object(module))

    def load(self, code: bytes, name: str) -> int:
        """Put an object file into memory and return the address of a function in it."""
        self.engine.add_object_file(self.llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        return int(self.engine.get_function_address(name))
