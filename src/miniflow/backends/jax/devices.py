"""JAX itself: its devices, and what is said to it, always the same whatever the user has set.

64-bit numbers are a setting of the thread in JAX. It is switched on for as long as miniflow calls
(`all_dtypes`) and nothing of the user's own is touched.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from typing import Any, Final

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from miniflow.backends.jax import JAX
from miniflow.errors import CompileError

ROWS: Final = "rows"
_PRESETS: Final = {"float32": "F32_F32_F32", "tf32": "TF32_TF32_F32", "bf16": "BF16_BF16_F32"}
_DETERMINISTIC: Final = {"xla_gpu_deterministic_ops": True, "xla_gpu_autotune_level": 0}
ON_A_CPU: Final = 2**31  # bytes that count as free where the "device" is the processor


_SETTINGS: Final[Any] = (
    ("jax_debug_nans", False, lambda: jax.debug_nans(False)),
    ("jax_debug_infs", False, lambda: jax.debug_infs(False)),
    ("jax_disable_jit", False, lambda: jax.disable_jit(False)),
    *(
        (f"jax_transfer_guard{way}", None, lambda: jax.transfer_guard("allow"))
        for way in ("", "_host_to_device", "_device_to_host", "_device_to_device")
    ),
)


def all_dtypes() -> AbstractContextManager[Any]:
    """Inside the `with` block, float64 and 64-bit integers are what they are, in this thread, and
    what the user has JAX look for in their own programs (NaN, transfers) is not looked for in ours.
    """
    context: AbstractContextManager[Any] = jax.enable_x64(True)
    set_by_user = [
        plain() for name, usual, plain in _SETTINGS if getattr(jax.config, name) != usual
    ]
    if not set_by_user:
        return context
    endings = ExitStack()
    for setting in (context, *set_by_user):
        endings.enter_context(setting)
    return endings


class Devices:
    """The devices of a program.

    Attributes:
        mesh: JAX's name for them, in a row.
        count: how many there are, in all processes.
        replicated: where an array lies as a whole on each of them.
        platform: "cpu", "gpu" or "tpu"; kind: what the maker calls it.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.count = mesh.size
        self.replicated = NamedSharding(mesh, PartitionSpec())
        self.platform = mesh.devices.flat[0].platform
        self.kind = mesh.devices.flat[0].device_kind
        self.is_one_process = jax.process_count() == 1

    def by_rows(self, axis: int = 0) -> NamedSharding:
        """Where an array lies whose rows, along an axis, are divided."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, ROWS))

    def put(self, array: Any, where: NamedSharding) -> Any:
        """A copy of an array on the devices; of what is divided, each process hands over its own
        rows.
        """
        if self.is_one_process:
            return jax.device_put(np.array(array, order="C"), where)
        return jax.make_array_from_callback(
            np.shape(array), where, lambda index: np.array(array[index])
        )

    def holds(self, nbytes: int, limit: int | None) -> bool:
        """Whether so many bytes of data are to be kept on each device: no more than the limit; if
        there is none, if they and as many again fit beside what is there.
        """
        if limit is not None:
            return nbytes <= limit
        free = []
        for device in self.mesh.local_devices:
            told = device.memory_stats() or {}
            most = told.get("bytes_limit")
            free.append(ON_A_CPU if most is None else most - told.get("bytes_in_use", 0))
        return 2 * nbytes <= min(free, default=0)


def fetch(there: Any) -> Any:
    """What lies on the devices as a NumPy array, that may be a look at it."""
    with all_dtypes():
        return np.asarray(there)


@lru_cache
def _devices(count: int | str | None, _: int) -> Devices:
    there = jax.devices()
    if count is None:
        count = len(there) if jax.process_count() > 1 else 1
    if count == "all":
        count = len(there)
    if int(count) > len(there):
        names = ", ".join(map(str, there[:8])) + (", ..." if len(there) > 8 else "")
        raise CompileError(
            f"JAX: devices={count}, and there {'is' if len(there) == 1 else 'are'} "
            f'{len(there)}: {names}. Say devices="all" for those that are there.'
        )
    if jax.process_count() > 1 and int(count) != len(there):
        raise CompileError(
            f"JAX: devices={count}, and the {jax.process_count()} processes have {len(there)}: "
            'where several train together all devices do, devices="all".'
        )
    return Devices(Mesh(np.array(there[: int(count)]), (ROWS,)))


def devices_for(options: JAX) -> Devices:
    """The devices that the options ask for.

    Raises CompileError, with those that are there, if they are not.
    """
    try:
        return _devices(options.devices, jax.process_count())
    except RuntimeError as error:  # no backend of JAX's comes up
        raise CompileError(f"JAX finds no device: {str(error).rstrip('.')}.") from error


def precision_for(options: JAX, devices: Devices) -> Any:
    """What the products of float32 matrices are computed in.

    Raises CompileError if these devices have no such numbers.
    """
    if options.precision == "tf32" and devices.platform != "gpu":
        raise CompileError(
            f'JAX: precision="tf32" is what a GPU computes in, and the device is a '
            f'{devices.platform.upper()}: say "float32" or "bf16".'
        )
    return getattr(lax.DotAlgorithmPreset, _PRESETS[options.precision])


def compiler_options(options: JAX, devices: Devices) -> dict[str, Any]:
    """What XLA is told."""
    said: dict[str, Any] = {"xla_allow_excess_precision": False}
    if options.deterministic and devices.platform == "gpu":
        said |= _DETERMINISTIC
    return said


def check_process(born: int) -> None:
    """Raise CompileError in a forked child, where JAX does not work."""
    if os.getpid() != born:
        raise CompileError(
            "JAX does not work in a forked process, whose threads are gone: start processes with "
            'multiprocessing.get_context("spawn"), or take backend="native".'
        )
