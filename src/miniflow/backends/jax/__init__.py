"""The JAX backend: a program becomes `jax.lax` operations, which XLA compiles for GPUs, TPUs and
CPUs, for one device or many.

    step = mf.compile(loss, optimizer=mf.SGD(0.1), backend="jax")

The way there: `printing` writes the program as Python source. Each equation is written by
`elementwise` (in the texts of `operations`), `arrays`, `parts` or `loop`, by way of a writer
(`operands`), and calls what `jax.lax` has not (`functions`). `executable` has JAX compile it once
and keeps parameters on the devices (`devices`, `miniflow.residence`), `epochs` makes many steps in
one call.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from miniflow.backends.backend import DEVICES, Backend
from miniflow.ir.program import Program
from miniflow.options import OptionError, flag, whole
from miniflow.passes import TIDY, hoist

if TYPE_CHECKING:
    from miniflow.backends.jax.devices import Devices
    from miniflow.backends.jax.executable import JaxExecutable

PRECISIONS: Final = ("float32", "tf32", "bf16")


class JAX(str):
    """The backend "jax" with options: wherever a backend is named, as in
    `mf.compile(loss, optimizer=mf.SGD(0.1), backend=mf.JAX(devices=8))`.

    Args:
        devices: over how many devices each batch is divided, "all", or None: one device or, where
            several processes train together, all. Parameters lie on each of them. The rows of a
            batch are divided evenly; that they cannot be is told. (Of `fit`, the last batch of an
            epoch may have any number of rows: each device computes it as a whole.)
        precision: of the products of float32 matrices. "float32", the default, is that on every
            device; "tf32" (19 bits, on a GPU) and "bf16" (16 bits) are faster and round what is
            multiplied; sums are float32. `step.source` says which it is.
        deterministic: whether a GPU gives the same bits from run to run, which may be slower; False
            by default.
        data_limit: bytes of data that `fit` and `step.epoch` may keep on each device, where they
            gather the rows of each batch; of more than that, batches are sent ahead. By default
            half of the memory that is free there; on a CPU, 1 GiB.

    Raises OptionError for an option that is none. How many devices there are is looked at, and
    told, when a program is made.

    >>> JAX(devices=8) == "jax", JAX(devices=8)
    (True, JAX(devices=8, precision='float32', deterministic=False, data_limit=None))
    """

    devices: int | str | None
    precision: str
    deterministic: bool
    data_limit: int | None
    repeats: bool  # whether each device may compute a batch as a whole that cannot be divided

    def __new__(
        cls,
        devices: int | str | None = None,
        precision: str = "float32",
        deterministic: bool = False,
        data_limit: int | None = None,
    ) -> JAX:
        made = str.__new__(cls, "jax")
        if devices is not None and devices != "all":
            if isinstance(devices, str):
                raise OptionError(f"JAX: devices is a number, 'all' or None, not {devices!r}.")
            devices = whole("JAX", "devices", devices, least=1)
        made.devices = devices
        if precision not in PRECISIONS:
            raise OptionError(
                f"JAX: precision is one of {', '.join(PRECISIONS)}, not {precision!r}."
            )
        made.precision = precision
        made.deterministic = flag("JAX", "deterministic", deterministic)
        if data_limit is not None:
            data_limit = whole("JAX", "data_limit", data_limit, least=0)
        made.data_limit = data_limit
        made.repeats = False
        return made

    def __reduce__(self) -> Any:
        return JAX, (self.devices, self.precision, self.deterministic, self.data_limit)

    def __deepcopy__(self, memo: Any) -> JAX:
        return self

    def __repr__(self) -> str:
        return (
            f"JAX(devices={self.devices!r}, precision={self.precision!r}, "
            f"deterministic={self.deterministic!r}, data_limit={self.data_limit!r})"
        )


DEFAULT: Final = JAX()


def with_last_batches(name: str) -> JAX:
    """The same options, for a training: the last batch of an epoch, which has what is left, may
    have any number of rows. If it cannot be divided, each device computes it as a whole.
    """
    said = options_of(name)
    made = JAX(said.devices, said.precision, said.deterministic, said.data_limit)
    made.repeats = True
    return made


def options_of(name: str) -> JAX:
    """The options that come with a name of this backend."""
    return name if isinstance(name, JAX) else DEFAULT


# A compiled step has no memory of its own, so all threads may have the same one.
_made: WeakValueDictionary[tuple[int, str], JaxExecutable] = WeakValueDictionary()


def lower(program: Program, options: JAX = DEFAULT) -> JaxExecutable:
    """Make a program ready to be run by JAX.

    Raises:
        CompileError: the devices that the options ask for are not there, or a batch does not divide
            over them.
    """
    from miniflow.backends.jax.executable import JaxExecutable

    key = id(program), f"{options!r} {options.repeats}"
    made = _made.get(key)
    if made is None or made.program is not program:
        made = _made[key] = JaxExecutable(program, options)
    return made


def _devices(options: JAX) -> Devices:
    from miniflow.backends.jax.devices import devices_for

    return devices_for(options)


def _described(devices: Devices) -> str:
    return f"{devices.count} device{'s' * (devices.count > 1)} ({devices.kind})"


def record_for(name: str) -> Backend:
    """The record of the backend, with the options of a name."""
    options = options_of(name)
    return Backend(
        name="jax",
        lower=partial(lower, options=options),
        passes=(*TIDY, hoist, *TIDY),
        purpose=DEVICES,
        package="jax",
        extra="jax",
        same_bits_on=lambda: _described(_devices(options)),
        devices=lambda: _devices(options).count,
        for_training=with_last_batches,
        record_for=record_for,
    )


BACKEND = record_for("jax")
