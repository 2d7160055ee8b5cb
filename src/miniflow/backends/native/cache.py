"""Machine code on disk, so that a kernel is compiled once and not once a process.

Entries lie in the user's own cache folder, named after a hash of all that they depend on; so an
upgrade finds none of the old ones, and two processes that write the same entry write the same
bytes. A file holds a checksum and then the code; one that was cut short, or written to, is compiled
anew. Where nothing can be written (a read-only home, a full disk), each process compiles for
itself.

The folder can be deleted at any time. It is ``miniflow`` in XDG_CACHE_HOME (by default
``~/.cache``), in ``~/Library/Caches`` on macOS, in LOCALAPPDATA on Windows; the environment
variable MINIFLOW_CACHE names another one, or says ``off``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

from miniflow.files.atomic import write_bytes


def folder() -> Path | None:
    """Return the folder of the entries, which need not exist; None: entries are not kept."""
    setting = os.environ.get("MINIFLOW_CACHE", "")
    if setting == "off":
        return None
    if setting:
        return Path(setting) / "native"
    user = _user_cache()
    return user / "miniflow" / "native" if user else None


def _user_cache() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        return None
    if sys.platform == "win32":
        default, variable = home / "AppData" / "Local", "LOCALAPPDATA"
    elif sys.platform == "darwin":
        default, variable = home / "Library" / "Caches", ""
    else:
        default, variable = home / ".cache", "XDG_CACHE_HOME"
    chosen = Path(os.environ.get(variable, "")) if variable else default
    return chosen if chosen.is_absolute() else default


def read(key: str) -> bytes | None:
    """Return what is stored under a key, None if nothing is, or nothing whole."""
    where = folder()
    if where is None:
        return None
    try:
        content = (where / key).read_bytes()
    except OSError:
        return None
    checksum, data = content[:32], content[32:]
    return data if hashlib.sha256(data).digest() == checksum else None


def write(key: str, data: bytes) -> None:
    """Store `data` under a key, or do nothing where that is not possible."""
    where = folder()
    if where is None:
        return
    with contextlib.suppress(OSError):
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(where / key, hashlib.sha256(data).digest() + data)
