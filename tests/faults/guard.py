"""What must not happen while a file from a stranger is read, and how it is noticed.

Python tells its audit hooks (PEP 578) what it is about to do. Between `begin` and `end` a `Guard`
refuses, and remembers:

- starting a process, opening a socket, loading a library, unpickling a class;
- writing, renaming or removing anything outside the folder that it was given;
- executing code, unless it comes from a file of Python itself or of an installed package, or is a
  text that miniflow wrote: the NumPy backend's, which `is_generated` holds to the backend's
  vocabulary, or the function that finds a program's arguments in a feed (`is_binding`).

It also ends what takes too long, where there are alarms, and measures the memory that was taken,
where the system tells (`peak_bytes`).
"""

import ast
import faulthandler
import os
import pathlib
import re
import signal
import sys
import sysconfig
from typing import Any

import miniflow

FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile", "pty.spawn"),
    *("subprocess.", "socket.", "urllib.", "ftplib.", "http.", "smtplib.", "webbrowser."),
    *("pickle.find_class", "ctypes.dlopen", "code.__new__", "winreg.", "signal.pthread_kill"),
)  # fmt: skip
ON_FILES = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link"),
    *("os.symlink", "os.truncate", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"),
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CODE_FOLDERS = tuple(
    str(pathlib.Path(folder).resolve()) + os.sep
    for folder in {*sysconfig.get_paths().values(), pathlib.Path(miniflow.__file__).parent}
)
MODULES = {"math", "numpy", "miniflow.backends.blas", "miniflow.backends.numpy.runtime"}
PLAIN = {"abs", "slice", "int", "float", "bool", "True", "False"}
NEVER_WRITTEN = (ast.Import, ast.ImportFrom, ast.Lambda, ast.ClassDef, ast.Global)
NUMBERED = re.compile(
    r"a\d+|(kept|fed_type|node|optimizer|settings|schedule|dtype|type|value|validate)_\d+"
    r"|(own|attributes|fingerprint)_\d+|(setting|contents)_\d+_\d+"
)
BOUND = {"feed", "now", "ndarray", "copied", "updated", "updated_ids", "type", "dict", "len", "id"}
BOUND |= {"isinstance", "int", "float", "copy_if_shared", "residents", "look_at_all", "KeyError"}
BOUND |= {"run", "found", "ArithmeticError", "IndexError", "ValueError"}
LOOKED_AT = {"get", "dtype", "shape", "flags", "num", "copy", "base", "_array", "state", "lr"}
LOOKED_AT |= {"writeable", "_fed_type", "_trainable"}


class ForbiddenError(BaseException):
    """Something that must not happen was about to; no `except Exception` holds it up."""


class HangError(BaseException):
    """It took too long."""


def is_generated(source: str) -> bool:
    r"""Whether a text is what the NumPy backend writes: its own names, and no way out of them.

    >>> is_generated("from numpy import add\ndef step(arguments):\n    return [add(1, 2)]")
    True
    >>> is_generated("__import__('os').system('true')")
    False
    """
    bound = {"arguments", "constants", "library", *PLAIN}
    for node in sorted(ast.walk(ast.parse(source)), key=_place):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            bound |= {alias.name for alias in node.names}
        elif isinstance(node, NEVER_WRITTEN) or _is_private(node):
            return False
        elif isinstance(node, ast.Name):
            if node.id.startswith("__") or (type(node.ctx) is ast.Load and node.id not in bound):
                return False  # a name is read after it was given: it is none of Python's own
            bound.add(node.id)
    return True


def is_binding(source: str) -> bool:
    r"""Whether a text is what `miniflow.compiler.binding` writes.

    >>> is_binding("def arguments(feed):\n    a0 = feed.get(node_0)\n    return [a0]")
    True
    >>> is_binding("def arguments(feed):\n    return [feed.__class__]")
    False
    """
    module = ast.parse(source)
    is_function = len(module.body) == 1 and isinstance(module.body[0], ast.FunctionDef)
    for node in ast.walk(module):
        if isinstance(node, NEVER_WRITTEN):
            return False
        if isinstance(node, ast.Name) and node.id not in BOUND and not NUMBERED.fullmatch(node.id):
            return False
        if isinstance(node, ast.Attribute) and node.attr not in LOOKED_AT:
            return False
    return is_function


WRITTEN = {
    "<miniflow program": is_generated,
    "<arguments of a program>": is_binding,
    "<call of a program>": is_binding,
}


def _is_private(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr.startswith("_")


def _place(node: ast.AST) -> tuple[int, bool, int]:
    """What is read in a line comes before what is assigned there."""
    is_stored = isinstance(getattr(node, "ctx", None), ast.Store)
    return getattr(node, "lineno", 0), is_stored, getattr(node, "col_offset", 0)


class Guard:
    """Watches over what happens between `begin` and `end`.

    Args:
        folder: where files may be written.
        seconds: how long it may take.
    """

    def __init__(self, folder: str | os.PathLike[str], seconds: float = 20.0) -> None:
        self.folder = str(pathlib.Path(folder).resolve()) + os.sep
        self.seconds = seconds
        self.seen: list[str] = []
        self._watching = False
        self._looking = False  # at a text: what the look itself does is not looked at
        self._checked: set[str] = set()
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _hang)
        sys.addaudithook(self._hook)

    def begin(self) -> None:
        """From now on, watch."""
        self.seen.clear()
        faulthandler.dump_traceback_later(10 * self.seconds, exit=True)  # for loops without Python
        if hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        self._watching = True

    def end(self) -> list[str]:
        """Stop watching; what was about to happen."""
        self._watching = False
        if hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        return list(self.seen)

    def _hook(self, event: str, given: tuple[Any, ...]) -> None:
        if not self._watching or self._looking:
            return
        self._looking = True
        try:
            refused = self._is_refused(event, given)
        finally:
            self._looking = False
        if refused:
            told = f"{event} {str(given)[:300]}"
            self.seen.append(told)
            raise ForbiddenError(told)

    def _is_refused(self, event: str, given: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = given
            return bool(flags & WRITING) and not isinstance(path, int) and not self._inside(path)
        if event == "compile":
            source, filename = given
            name = _text(filename)
            self._checked.discard(name)
            for prefix, is_ours in WRITTEN.items():
                if name.startswith(prefix):
                    if source is not None and not is_ours(_text(source)):
                        return True
                    self._checked.add(name)
            return False
        if event == "exec":
            return not self._is_known(given[0].co_filename)
        if event in ON_FILES:
            return not all(self._inside(p) for p in given if isinstance(p, (str, bytes)) and p)
        return event.startswith(FORBIDDEN)

    def _is_known(self, filename: str) -> bool:
        return (
            filename in self._checked
            or filename.startswith("<frozen ")
            or str(pathlib.Path(filename).resolve()).startswith(CODE_FOLDERS)
        )

    def _inside(self, path: Any) -> bool:
        place = os.path.realpath(_text(os.fspath(path)))
        return f"{place}{os.sep}".startswith(self.folder) or place == os.devnull


def _text(x: Any) -> str:
    return x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x)


def _hang(*_: object) -> None:
    raise HangError


# --- Memory


def peak_is_known() -> bool:
    """Whether `reset_peak` and `peak_bytes` work here: Linux tells, other systems do not."""
    try:
        reset_peak()
    except OSError:
        return False
    return True


def reset_peak() -> None:
    """Let the peak be what is taken now."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_bytes() -> int:
    """The most resident memory since `reset_peak`."""
    return _status("VmHWM")


def resident_bytes() -> int:
    """The resident memory now."""
    return _status("VmRSS")


def _status(line: str) -> int:
    with open("/proc/self/status") as file:
        text = file.read()
    return 1024 * int(text.split(f"{line}:")[1].split()[0])


def address_space_limited(more: int) -> bool:
    """Have allocations fail that would need so many more bytes than are reserved now.

    What is reserved and never touched does not show in the peak. False where there is no limit.
    """
    try:
        import resource

        reserved = _status("VmSize")
    except (ImportError, OSError):
        return False
    resource.setrlimit(resource.RLIMIT_AS, (reserved + more, resource.RLIM_INFINITY))
    return True
