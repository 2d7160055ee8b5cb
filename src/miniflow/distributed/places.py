"""Which of several processes this one is: as it was said, or as a cluster's environment says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from miniflow.errors import shown
from miniflow.options import OptionError, whole

PORT = 9900  # where a cluster names the machine alone; with the number of the job, to be apart


class HostPlace(NamedTuple):
    """Process `host` of `hosts`, which meet at an address and a port of process 0's machine."""

    address: str
    port: int
    hosts: int
    host: int


ALONE = HostPlace("", 0, 1, 0)


def place_for(
    coordinator: str | None = None,
    hosts: int | None = None,
    host: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> HostPlace:
    """The place of this process.

    Args:
        coordinator: address and port where process 0 can be reached, "node-a:9900".
        hosts: how many processes there are.
        host: which of them this is, 0 to `hosts` - 1.
        environment: where to look if none of these is said; that of the process by default. It is
            that of SLURM (within `srun`), Open MPI, or of launchers that set RANK, WORLD_SIZE,
            MASTER_ADDR and MASTER_PORT. Without any of them the process is alone.

    Raises OptionError: something is missing, or is none.

    >>> place_for("node-a:9900", 4, 2)
    HostPlace(address='node-a', port=9900, hosts=4, host=2)
    >>> place_for(environment={})
    HostPlace(address='', port=0, hosts=1, host=0)
    """
    said = {"coordinator": coordinator, "hosts": hosts, "host": host}
    if all(value is None for value in said.values()):
        return _from_environment(os.environ if environment is None else environment)
    if hosts == 1 and host in (None, 0):
        return ALONE
    if missing := [name for name, value in said.items() if value is None]:
        raise OptionError(
            "distributed: hosts (how many processes), host (which of them this is) and coordinator "
            f"(where they meet) belong together: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )
    hosts = whole("distributed", "hosts", hosts, least=1)
    host = whole("distributed", "host", host, least=0)
    if host >= hosts:
        raise OptionError(
            f"distributed: host={host} of hosts={hosts}: they count from 0 to {hosts - 1}."
        )
    address, port = _address(coordinator)
    return HostPlace(address, port, hosts, host)


def _address(coordinator: object) -> tuple[str, int]:
    text = coordinator if isinstance(coordinator, str) else ""
    address, _, port = text.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise OptionError(
            "distributed: coordinator is the address and the port where process 0 can be reached, "
            f"'node-a:9900', not {shown(coordinator, 60)!r}."
        )
    return address.strip("[]"), int(port)


def _from_environment(said: Mapping[str, str]) -> HostPlace:
    if (hosts := _number(said, "SLURM_STEP_NUM_TASKS", 1)) > 1:
        first = first_node(said.get("SLURM_STEP_NODELIST") or said.get("SLURM_NODELIST", ""))
        port = PORT + _number(said, "SLURM_JOB_ID", 0) % 1000
        return HostPlace(first, port, hosts, _rank(said, "SLURM_PROCID", hosts))
    if (hosts := _number(said, "WORLD_SIZE", 1)) > 1:
        if not said.get("MASTER_ADDR"):
            raise OptionError(
                f"distributed: the environment says WORLD_SIZE={hosts} and no MASTER_ADDR: say "
                "coordinator, hosts and host, or hosts=1."
            )
        port = _number(said, "MASTER_PORT", PORT) + 1  # the launcher itself may listen there
        return HostPlace(said["MASTER_ADDR"], port, hosts, _rank(said, "RANK", hosts))
    if (hosts := _number(said, "OMPI_COMM_WORLD_SIZE", 1)) > 1:
        host = _rank(said, "OMPI_COMM_WORLD_RANK", hosts)
        uri = said.get("PMIX_SERVER_URI2") or said.get("OMPI_MCA_orte_hnp_uri", "")
        found = re.search(r"tcp4?://([0-9.]+)", uri)
        if found is None and hosts != _number(said, "OMPI_COMM_WORLD_LOCAL_SIZE", 0):
            raise OptionError(
                "distributed: Open MPI does not say where its first process is: say coordinator, "
                "hosts and host."
            )
        return HostPlace(found[1] if found else "127.0.0.1", PORT, hosts, host)
    return ALONE


def _number(said: Mapping[str, str], name: str, otherwise: int | None) -> int:
    """What a variable of the environment says."""
    text = said.get(name, "" if otherwise is None else str(otherwise))
    if not (text.isascii() and text.isdecimal()):
        raise OptionError(
            f"distributed: the environment says {name}={shown(text, 40)!r}, which is no whole "
            "number: say coordinator, hosts and host, or hosts=1."
        )
    return int(text)


def _rank(said: Mapping[str, str], name: str, hosts: int) -> int:
    host = _number(said, name, None)
    if host >= hosts:
        raise OptionError(
            f"distributed: the environment says {name}={host} of {hosts} processes: they count "
            f"from 0 to {hosts - 1}."
        )
    return host


def first_node(nodes: str) -> str:
    """The first of SLURM's list of nodes.

    >>> first_node("gpu[007-012,20],cpu1"), first_node("a1,a2")
    ('gpu007', 'a1')
    """
    found = re.match(r"([^,\[]+)(?:\[([0-9]+)[^\]]*\])?", nodes)
    return f"{found[1]}{found[2] or ''}" if found else "127.0.0.1"
