"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import miniflow.ir


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(miniflow.ir.__path__)])
def test_examples_run(name):
    failed, _ = doctest.testmod(importlib.import_module(f"miniflow.ir.{name}"))
    assert failed == 0
