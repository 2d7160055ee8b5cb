"""What XLA has compiled, kept in the user's own folder (`backends.cache`, which looks at who may
write there), so that the next process need not compile it.

An entry is named after a hash of all that it depends on: the program as XLA is handed it, what XLA
is told, the versions, the devices, and of a CPU what it can do. What cannot be kept, or read back,
is compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import platform
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jaxlib

from miniflow.backends import cache
from miniflow.backends.jax.devices import Devices


class KeptCall:
    """A function that JAX compiles for the shapes of its first arguments, or finds compiled.

    Args:
        jitted: what `jax.jit` has made. It is called with arguments of the same shapes each time,
            where they do not `vary`.
        devices: where it runs. settings: what XLA is told.
    """

    def __init__(
        self, jitted: Any, devices: Devices, settings: dict[str, Any], vary: bool = False
    ) -> None:
        self._jitted, self._devices, self._settings, self._vary = jitted, devices, settings, vary
        self._found: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        key = _shapes(arguments) if self._vary else None
        call = self._found.get(key)
        if call is None:
            call = self._found[key] = self._compiled(arguments)
        return call(*arguments)

    def _compiled(self, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        if not self._devices.is_one_process:
            call: Callable[..., Any] = self._jitted
            return call
        from jax.experimental import serialize_executable

        lowered = self._jitted.lower(*arguments)
        devices = f"{self._devices.kind} {self._devices.count} {_machine(self._devices.platform)}"
        handed = f"{jax.tree.structure(arguments)} {lowered.out_tree}"  # how it is called
        about = (
            f"{lowered.as_text()} {handed} {sorted(self._settings.items())} {_versions()} {devices}"
        )
        key = hashlib.sha256(about.encode()).hexdigest()
        kept = cache.read(key, "jax")
        if kept is not None:
            try:
                return serialize_executable.deserialize_and_load(  # type: ignore[no-any-return]
                    *pickle.loads(kept),
                    execution_devices=list(self._devices.mesh.devices.flat),  # not all there are
                )
            except Exception:  # of another build, say: it is compiled anew
                pass
        compiled: Callable[..., Any] = lowered.compile()
        with contextlib.suppress(Exception):  # not every device's code can be written
            cache.write(key, pickle.dumps(serialize_executable.serialize(compiled)), "jax")
        return compiled


def _shapes(arguments: Any) -> Any:
    return tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(arguments))


def _versions() -> str:
    client = jax.devices()[0].client
    return f"{jax.__version__} {jaxlib.__version__} {client.platform_version}"


@lru_cache
def _machine(kind: str) -> str:
    """Of a CPU, what it can do: code for another may not run."""
    if kind != "cpu":
        return ""
    told = [platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told += sorted({line for line in lines if line.startswith(("flags", "model name"))})
    except OSError:
        pass
    return " ".join(told)
