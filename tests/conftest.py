"""What all tests share: what a quick run leaves out, Hypothesis's settings, and a watch over passes
that are left open.

A test that takes seconds says so, with `@pytest.mark.slow`: `make test` leaves it out, and CI runs
it. A table of tests that asks one question of many dtypes or backends says which of its arguments
are that breadth, with `@pytest.mark.breadth("dtype", "backend")`: of the cells that differ in
nothing else a quick run takes one, of each row another, and the others are slow, and all but one
of these rare: CI does without them. Hypothesis draws fewer examples there. Tests run in several
processes at once, a module in one of them, and in any order.

pytest puts this folder on the import path, so test modules import `conformance` (node classes in
the lab's raw style) and `factories` (what property tests are made from) by name.
"""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator

import pytest
from breadth import mark_breadth
from hypothesis import HealthCheck, settings

from miniflow.backends.native import kept
from miniflow.graph.plans import passes_under_way

# Machines are shared and slow at times: no test fails for the time that it took.
settings.register_profile(
    "dev",
    deadline=None,
    print_blob=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, max_examples=10)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=1000)
settings.register_profile("quick", settings.get_profile("dev"), max_examples=6)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


def pytest_configure(config: pytest.Config) -> None:
    if "not slow" in config.getoption("markexpr") and "HYPOTHESIS_PROFILE" not in os.environ:
        settings.load_profile("quick")


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if " at 0x" in item.nodeid:  # processes that share the tests must agree on their names
            raise pytest.UsageError(f"{item.nodeid}: another name in each process, by its address")
    mark_breadth(items)


def pytest_collection_finish() -> None:
    """What is there before the first test stays: no collection of garbage looks through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def temporary_files_are_pytests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test makes in the system's folder for temporary files, itself or in a process of its
    own, lies among pytest's: when it is killed halfway, pytest removes that after the third run.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """What a shell starts in the background ignores Ctrl-C; tests that press it need it heard."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def programs_are_lowered_anew() -> None:
    """Tests change what lowers a program; no layout of another test, or of another day, is run."""
    kept.is_on = False


@pytest.fixture(autouse=True)
def no_pass_stays_open() -> Iterator[None]:
    """A pass that ended, by an error or not, must leave `outbound_nodes` as it is at rest."""
    yield
    assert passes_under_way == []
