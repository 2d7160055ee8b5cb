"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import miniflow.passes

NAMES = [module.name for module in pkgutil.iter_modules(miniflow.passes.__path__)]


@pytest.mark.parametrize("name", ["", *NAMES])
def test_examples_run(name):
    module = importlib.import_module(f"miniflow.passes.{name}".rstrip("."))
    failed, _ = doctest.testmod(module)
    assert failed == 0
