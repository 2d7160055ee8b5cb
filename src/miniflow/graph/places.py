"""Where in the user's code a node was built: kept as code and instruction, line when asked for."""

import os
import sys
from functools import lru_cache
from types import CodeType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # miniflow/


def building_code() -> tuple[CodeType | None, int]:
    """The code that is building a node, and where in it: the line is looked up only if it is asked
    for.
    """
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_name != "__init__" and not code.co_filename.startswith(_PACKAGE):
            return code, frame.f_lasti
        frame = frame.f_back  # type: ignore[assignment]
    return None, 0


@lru_cache(maxsize=4096)
def line_of(code: CodeType, instruction: int) -> int:
    position = next(p for i, p in enumerate(code.co_positions()) if 2 * i >= instruction)
    return position[0] or code.co_firstlineno
