"""The examples in the docstrings of `miniflow.datasets` do what they show."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["batches", "digits", "idx", "input_data", "npz"])
def test_examples_give_what_they_show(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"miniflow.datasets.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
