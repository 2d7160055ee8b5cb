"""`miniflow train` on many devices and in several processes: its options, and what these share."""

from __future__ import annotations

import pathlib
from dataclasses import asdict
from typing import Annotated, Any

import typer

from miniflow.backends.jax import JAX
from miniflow.cli.runs import Options, Run
from miniflow.distributed import initialize
from miniflow.distributed.meeting import meeting
from miniflow.distributed.places import ALONE, place_for
from miniflow.options import OptionError

DevicesOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|all",
        help="With --backend jax: over how many devices each batch is divided.  [default: 1; all "
        "of several processes]",
    ),
]
HostsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="With --backend jax: train in N processes, on as many machines, say, each of which "
        "runs this command.  [default: as SLURM or Open MPI say; else 1]",
    ),
]
HostOption = Annotated[
    int | None, typer.Option(min=0, metavar="I", help="Which of these is this one, 0 to N - 1.")
]
CoordinatorOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS:PORT", help="Where process 0 can be reached by the others."),
]
JoinTimeoutOption = Annotated[
    float, typer.Option(min=0.0, metavar="SECONDS", help="How long processes wait for each other.")
]
HeartbeatOption = Annotated[
    float,
    typer.Option(
        min=0.5, metavar="SECONDS", help="A process that says nothing for so long ends the others."
    ),
]
LeaveTimeoutOption = Annotated[
    float, typer.Option(min=1.0, metavar="SECONDS", help="How long leaving may take at the end.")
]


def chosen_backend(backend: str | None, devices: str | None) -> str | None:
    """The backend, with its number of devices.

    Raises OptionError where another backend than jax is to have devices.
    """
    if devices is None:
        return backend
    if backend != "jax":
        raise OptionError(
            f"--devices {devices} is for --backend jax, and the backend is {backend or 'auto'}."
        )
    if devices != "all" and not (devices.isascii() and devices.isdecimal()):
        raise OptionError(f"--devices is a number or all, not {devices[:40]!r}.")
    return JAX(devices="all" if devices == "all" else int(devices))


def join(
    backend: str | None,
    hosts: int | None,
    host: int | None,
    coordinator: str | None,
    timeouts: tuple[float, float, float],
) -> None:
    """Join the other processes, if the command or the environment says that there are some.

    Raises OptionError where that does not fit together, MeetingError where they do not meet.
    """
    is_said = any(value is not None for value in (hosts, host, coordinator))
    if backend != "jax":
        if is_said and hosts != 1:
            raise OptionError(
                "--hosts, --host and --coordinator are for --backend jax, and the backend is "
                f"{backend or 'auto'}."
            )
        return
    if not is_said and place_for() == ALONE:
        return
    join_timeout, heartbeat, leave_timeout = timeouts
    initialize(
        coordinator,
        hosts,
        host,
        join_timeout=join_timeout,
        heartbeat=heartbeat,
        leave_timeout=leave_timeout,
    )


def check_command(given: dict[str, Any]) -> None:
    """See that all processes were given the same command. Raises MeetingError if not."""
    together = meeting()
    if together is not None:
        together.check_same("the command lines", {k: str(v) for k, v in sorted(given.items())})


def share_run(
    run: Run | None, options: Options | None, going_on: bool
) -> tuple[Run, Options, bool]:
    """What process 0 has settled, in all processes."""
    together = meeting()
    if together is None:
        assert run is not None, "it is settled by who is alone"
        assert options is not None, "it is settled by who is alone"
        return run, options, going_on
    own = None
    if run is not None and options is not None:
        own = [str(run.folder.absolute()), asdict(options), going_on]
    folder, settled, going_on = together.share(own)
    shared = Run(pathlib.Path(folder)) if run is None else run
    return shared, Options(**settled), going_on
