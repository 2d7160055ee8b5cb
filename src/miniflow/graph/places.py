"""What is the user's code and what is miniflow's: where a node was built (kept as code and
instruction, line when asked for), and whose class it is.
"""

import builtins
import dis
import os
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # miniflow/
_COMMANDS = _PACKAGE + "cli" + os.sep
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def building_code() -> tuple[CodeType | None, int]:
    """The code that is building a node, and where in it: the line is looked up only if it is asked
    for. Installed packages are passed over, such as a pipeline that fits an estimator, unless there
    is nobody else; and what the command line builds is nobody's: None.
    """
    frame, installed = sys._getframe(2), None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_COMMANDS):
            return None, 0
        if code.co_name != "__init__" and not code.co_filename.startswith(_PACKAGE):
            if not any(folder in code.co_filename for folder in _INSTALLED):
                return code, frame.f_lasti
            installed = installed or (code, frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return installed or (None, 0)


def named_place(code: CodeType, line: int) -> str:
    """A place in the user's code, as messages name it: `train.py:12`; in a notebook, whose cells
    are files that nobody knows, `cell 7, line 4`.
    """
    cell = notebook_cell(code.co_filename)
    if cell is not None:
        return f"cell {cell}, line {line}"
    return f"{os.path.basename(code.co_filename)}:{line}"


def notebook_cell(filename: str) -> int | None:
    """The number of the notebook's cell that a file stands for, `In [7]`; None if it is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    numbers: Any = getattr(getattr(shell, "compile", None), "_filename_map", None)
    found = numbers.get(filename) if isinstance(numbers, dict) else None
    return found if isinstance(found, int) else None


def is_ours(thing: Any) -> bool:
    """Whether the code of a class or a function, or of the class of anything else, is miniflow's
    own. What is not may do things that nobody knows of beforehand.

    >>> is_ours(building_code), is_ours(1.5)
    (True, False)
    """
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return str(module).startswith("miniflow.")


@lru_cache(maxsize=4096)
def line_of(code: CodeType, instruction: int) -> int:
    position = next(p for i, p in enumerate(code.co_positions()) if 2 * i >= instruction)
    return position[0] or code.co_firstlineno


def users_level() -> int:
    """The `stacklevel` with which a warning of the caller's is one of the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def called_in(frame: FrameType) -> Any:
    """The function that the code which runs in a frame is just now calling by a name for it:
    `np.add` in `np.add(a, x)`; None in `a + x`, and where it is not to be seen.
    """
    code, here = frame.f_code, frame.f_lasti // 2
    if "CALL" not in dis.opname[code.co_code[frame.f_lasti]]:  # CALL, and its forerunner PRECALL
        return None
    places = list(code.co_positions())
    start = places[here][0], places[here][2]
    if None in start:
        return None  # Python was told to forget columns
    # What is loaded where the call begins, and before it is made, is what is called.
    names: dict[str, Any] = {**builtins.__dict__, **frame.f_globals, **frame.f_locals}
    called: Any = None
    for instruction in dis.get_instructions(code):
        at = instruction.offset // 2
        if at >= here or (places[at][0], places[at][2]) != start:
            continue
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            called = getattr(called, instruction.argval, None)
        elif instruction.opname.startswith("LOAD_"):
            called = names.get(instruction.argval)
        elif instruction.opname.startswith("CALL"):
            return None  # what is called was returned by another call
    return called
