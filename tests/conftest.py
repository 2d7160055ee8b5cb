"""What all tests share: Hypothesis's settings, and a watch over passes that are left open.

pytest puts this folder on the import path, so test modules import `conformance` (node classes in
the lab's raw style) and `factories` (what property tests are made from) by name.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from miniflow.graph.plans import passes_under_way

# Machines are shared and slow at times: no test fails for the time that it took.
settings.register_profile(
    "dev",
    deadline=None,
    print_blob=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(autouse=True)
def no_pass_stays_open() -> Iterator[None]:
    """A pass that ended, by an error or not, must leave `outbound_nodes` as it is at rest."""
    yield
    assert passes_under_way == []
