"""What the tests of error messages share: the message of a call, and how it names a node."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from miniflow.errors import MiniflowError


def message_of(error: type, call: Callable[[], Any]) -> str:
    """The message of exactly that class of error, with the lines of the tests as `:LINE`."""
    with pytest.raises(MiniflowError) as caught:
        call()
    assert type(caught.value) is error
    return re.sub(r"\(test_\w+\.py:\d+\)", "(FILE:LINE)", str(caught.value))


def here(cls: str, name: str | None = None) -> str:
    """A node built in a test, as a message names it."""
    return f"{cls if name is None else f'{cls} {name!r}'} (FILE:LINE)"
