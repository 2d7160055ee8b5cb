"""Which library of products is found, whether it is used, and how it is called in a process."""

import ctypes
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from miniflow.backends import blas
from miniflow.errors import MiniflowError

needs_library = pytest.mark.skipif(blas.find() is None, reason="NumPy carries no OpenBLAS here")


@pytest.fixture
def search_again() -> Iterator[None]:
    """Let `find` search anew in this test, and in the ones after it."""
    blas._search.cache_clear()
    yield
    blas._search.cache_clear()


def test_the_environment_can_switch_the_library_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIFLOW_BLAS", raising=False)
    found = blas.find()
    monkeypatch.setenv("MINIFLOW_BLAS", "off")
    assert blas.find() is None
    monkeypatch.setenv("MINIFLOW_BLAS", "auto")
    assert blas.find() is found
    monkeypatch.setenv("MINIFLOW_BLAS", "of")
    with pytest.raises(MiniflowError, match="MINIFLOW_BLAS is 'of'; it can be 'auto' or 'off'"):
        blas.find()


def test_the_openblas_of_a_numpy_wheel_is_found_and_multiplies_correctly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if built_with != "scipy-openblas":
        pytest.skip(f"NumPy was built with {built_with} here")
    monkeypatch.delenv("MINIFLOW_BLAS", raising=False)
    assert blas.find() is not None


class FakeHandle(dict[str, Any]):
    """Stands in for a library whose functions have these affixes and do nothing."""

    def __init__(self, prefix: str, suffix: str, description: str) -> None:
        self[f"{prefix}openblas_get_config{suffix}"] = lambda: description.encode()
        for name in blas.ROUTINES:
            self[f"{prefix}cblas_{name}{suffix}"] = lambda *arguments: None
        for name in ("get_num_threads", "set_num_threads"):
            self[f"{prefix}openblas_{name}{suffix}"] = lambda *arguments: 1

    def __missing__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("prefix", "suffix", "description", "integer"),
    [
        ("scipy_", "64_", "OpenBLAS 0.3.31 USE64BITINT", ctypes.c_int64),
        ("", "64_", "OpenBLAS 0.3.21", ctypes.c_int64),
        ("", "_64", "OpenBLAS 0.3.21", ctypes.c_int64),
        ("scipy_", "", "OpenBLAS 0.3.31", ctypes.c_int32),
        ("", "", "OpenBLAS 0.3.26 NO_LAPACKE DYNAMIC_ARCH", ctypes.c_int32),
        ("", "", "OpenBLAS 0.3.26 USE64BITINT DYNAMIC_ARCH", ctypes.c_int64),
    ],
)
def test_names_and_description_tell_how_wide_the_integers_are(
    prefix: str, suffix: str, description: str, integer: Any
) -> None:
    library = blas.open_library(FakeHandle(prefix, suffix, description))
    assert library is not None
    assert library.integer is integer
    assert library.description == description
    assert library.get_threads() == 1


@pytest.mark.parametrize("missing", ["scipy_cblas_dgemv64_", "scipy_openblas_get_config64_"])
def test_a_library_that_lacks_a_name_is_not_used(missing: str) -> None:
    handle = FakeHandle("scipy_", "64_", "OpenBLAS")
    del handle[missing]
    assert blas.open_library(handle) is None


@pytest.mark.usefixtures("search_again")
def test_a_library_that_multiplies_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = FakeHandle("scipy_", "64_", "OpenBLAS")
    monkeypatch.setattr(blas, "_loaded_by_numpy", lambda: iter([handle]))
    assert blas.open_library(handle) is not None
    assert blas.find() is None


@needs_library
@pytest.mark.parametrize("routine", blas.ROUTINES)
def test_one_wrong_routine_is_enough_to_fail_the_trial(routine: str) -> None:
    library = blas.find()
    assert library is not None
    assert blas.multiplies_correctly(library)
    functions = {**library.functions, routine: lambda *arguments: None}
    assert not blas.multiplies_correctly(dataclasses.replace(library, functions=functions))


@pytest.mark.usefixtures("search_again")
def test_where_numpy_has_loaded_no_openblas_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blas, "_loaded_by_numpy", lambda: iter(()))
    assert blas.find() is None


@needs_library
def test_sizes_beyond_the_librarys_integers_are_left_to_matmul() -> None:
    library = blas.find()
    assert library is not None
    narrow = dataclasses.replace(library, integer=ctypes.c_int32)
    far_apart = as_strided(np.ones((2, 1), "f4"), (2, 1), (4 * 2**31, 4))
    b, out = np.ones((1, 2), "f4"), np.ones((2, 2), "f4")
    assert blas.product(far_apart, b, out, library=narrow).routine == "matmul"


@needs_library
def test_compiled_code_can_call_a_routine_at_its_address() -> None:
    library = blas.find()
    assert library is not None
    size, real, pointer = library.integer, ctypes.c_double, ctypes.c_void_p
    enums, sizes = [ctypes.c_int] * 3, [size] * 3
    scaled = [real, pointer, size, pointer, size, real, pointer, size]
    dgemm = ctypes.CFUNCTYPE(None, *enums, *sizes, *scaled)(library.address("dgemm"))
    a, b, out = np.full((2, 3), 2.0), np.ones((3, 4)), np.empty((2, 4))
    dgemm(101, 111, 111, 2, 4, 3, 1.0, a.ctypes.data, 3, b.ctypes.data, 4, 0.0, out.ctypes.data, 4)
    assert (out == 6).all()


@needs_library
def test_the_number_of_threads_can_be_set_and_is_at_least_one() -> None:
    library = blas.find()
    assert library is not None
    before = library.get_threads()
    try:
        for count in (1, 2):
            library.set_threads(count)
            assert library.get_threads() == count
        with pytest.raises(ValueError, match="at least one thread; got 0"):
            library.set_threads(0)
    finally:
        library.set_threads(before)


def run_python(code: str) -> str:
    """What a fresh Python prints when it runs `code`."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_library
@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc/self/maps")
def test_the_library_is_the_copy_that_numpy_has_loaded_and_import_looks_for_nothing() -> None:
    code = """
from miniflow.backends import blas
def maps():
    with open("/proc/self/maps") as file:
        return {line.split()[-1] for line in file if ".so" in line}
before, searches = maps(), blas._search.cache_info().misses
assert blas.find() is not None
print(searches, sorted(maps() - before))
"""
    assert run_python(code) == "0 []"


@needs_library
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_products_work_in_the_child_after_a_fork() -> None:
    code = """
import os
import numpy as np
from miniflow.backends import blas
a, b, out = np.ones((100, 90)), np.ones((90, 110)), np.zeros((100, 110))  # Threads at work.
product = blas.product(a, b, out, library=blas.find())
product.run()
child = os.fork()
if child == 0:
    out[...] = 0
    product.run()
    os._exit(0 if (out == 90).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
product.run()
assert (out == 90).all()
"""
    assert run_python(code) == "0"
