"""Joining: the processes meet, and JAX makes their devices one."""

from __future__ import annotations

import atexit
import os
import socket
import sys
from typing import Any

from miniflow.backends import find
from miniflow.distributed.meeting import Meeting, begin, meeting
from miniflow.distributed.places import place_for
from miniflow.errors import MeetingError
from miniflow.options import number

JOIN_TIMEOUT, HEARTBEAT, LEAVE_TIMEOUT = 300.0, 30.0, 60.0


def initialize(
    coordinator: str | None = None,
    hosts: int | None = None,
    host: int | None = None,
    *,
    join_timeout: float = JOIN_TIMEOUT,
    heartbeat: float = HEARTBEAT,
    leave_timeout: float = LEAVE_TIMEOUT,
) -> None:
    """Train together with other processes, which run the same program: call it before anything
    else, in each of them.

    From then on `backend="jax"` computes on the devices of all of them: each batch is divided, each
    process hands over its own rows, and parameters are the same everywhere. `fit` writes files in
    process 0 alone. At its end a process waits for the others.

    Args:
        coordinator: address and port where process 0 can be reached, "node-a:9900"; by default all
            three are as the environment of SLURM, Open MPI or another launcher says, and without
            one the process stays alone.
        hosts: how many processes there are; by default as for `coordinator`.
        host: which of them this is, 0 to `hosts` - 1; by default as for `coordinator`.
        join_timeout: seconds until all have to be there; 300 by default.
        heartbeat: seconds of silence after which a process counts as lost, and all others end; 30
            by default. One that is killed ends them at once.
        leave_timeout: seconds that JAX may take for leaving, when all are done; 60 by default.

    Raises:
        OptionError: one of the three is missing, or is none.
        MeetingError: process 0 cannot be reached in time, not all have come, or they were told
            different things.
        CompileError: JAX is not installed.

    >>> import miniflow as mf
    >>> mf.distributed.initialize(hosts=1)
    >>> mf.distributed.process_index(), mf.distributed.process_count()
    (0, 1)
    """
    place = place_for(coordinator, hosts, host)
    join_timeout = number("distributed", "join_timeout", join_timeout)
    heartbeat = number("distributed", "heartbeat", heartbeat)
    leave_timeout = number("distributed", "leave_timeout", leave_timeout)
    if meeting() is not None:
        raise MeetingError("distributed: initialize was called before, and holds for the process.")
    if place.hosts == 1:
        return
    find("jax").check_available()
    together = Meeting(place, heartbeat)
    if place.host == 0:
        together.open(join_timeout, _free_port)
    else:
        together.join(join_timeout)
    begin(together)
    _initialize_jax(together, join_timeout, heartbeat, leave_timeout)
    _leave_at_the_end(together, leave_timeout)


def leave() -> None:
    """Say that this process has done its work, and wait until all have; the end of a program does
    so by itself.

    >>> leave()  # nothing, of a process that is alone
    """
    if _leaving:
        _leaving.pop()()


def abandon() -> None:
    """Have this process, which failed, tell the others so at its end, and wait for nobody; one
    that all have stopped together has not failed.
    """
    together = meeting()
    if together is not None and not together.is_interrupted:
        together.has_failed = True


_leaving: list[Any] = []


def _free_port() -> str:
    """A port that nobody listens at, for JAX."""
    with socket.socket() as found:
        found.bind(("", 0))
        return str(found.getsockname()[1])


def _initialize_jax(
    together: Meeting, join_timeout: float, heartbeat: float, leave_timeout: float
) -> None:
    import jax

    place = together.place
    try:
        jax.distributed.initialize(
            f"{place.address}:{together.token}",
            place.hosts,
            place.host,
            initialization_timeout=max(1, int(join_timeout)),
            # The meeting notices sooner, and says it in a sentence.
            heartbeat_timeout_seconds=max(10, int(2 * heartbeat)),
            shutdown_timeout_seconds=max(1, int(leave_timeout)),
            coordinator_bind_address=f"[::]:{together.token}" if ":" in place.address else None,
        )
        _connect_quietly()
    except (RuntimeError, ValueError) as error:
        raise MeetingError(
            f"distributed: JAX does not come up in process {place.host}: "
            f"{str(error).splitlines()[0].rstrip('.')}."
        ) from error


def _connect_quietly() -> None:
    """A first sum over all devices. On CPUs it says on the standard output how it connects: what
    this process prints is to be read by others.
    """
    import jax
    import numpy as np

    if jax.default_backend() != "cpu":
        return
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("rows",))
    by_rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    ones = np.ones(mesh.size, np.float32)
    given = jax.make_array_from_callback(ones.shape, by_rows, lambda index: ones[index])
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        np.asarray(jax.jit(lambda x: x.sum(), out_shardings=whole)(given))
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _leave_at_the_end(together: Meeting, timeout: float) -> None:
    """Have the process leave when it ends well; if it ends with an error, others are told so by its
    end.
    """
    before = sys.excepthook

    def note(kind: Any, error: Any, traceback: Any) -> None:
        together.has_failed = not (together.is_interrupted and kind is KeyboardInterrupt)
        if "Runtime" in kind.__name__:  # it may come of another's end
            together.wait_for_reason()
        before(kind, error, traceback)

    sys.excepthook = note

    def say_bye() -> None:
        together.leave(timeout)

    def at_exit() -> None:
        if together.has_failed:
            together.tell_and_end()
        leave()

    _leaving.append(say_bye)
    atexit.register(at_exit)  # after JAX's own, so it runs before
