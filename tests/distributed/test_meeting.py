"""Processes find each other, agree or are told that they do not, and say who is gone. No JAX."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from miniflow.distributed.meeting import Meeting
from miniflow.distributed.places import ALONE, HostPlace, place_for
from miniflow.errors import MeetingError
from miniflow.options import OptionError


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def together(*work: Callable[[], Any]) -> list[Any]:
    """What each of them returns or raises, all at the same time."""
    found: list[Any] = [None] * len(work)

    def run(i: int) -> None:
        try:
            found[i] = work[i]()
        except MeetingError as error:
            found[i] = str(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found


def meetings(*hosts: tuple[int, int]) -> list[Meeting]:
    port = free_port()
    return [Meeting(HostPlace("127.0.0.1", port, n, i), heartbeat=5.0) for i, n in hosts]


def come(meeting: Meeting, timeout: float = 5.0) -> Callable[[], None]:
    if meeting.place.host == 0:
        return lambda: meeting.open(timeout, lambda: "token")
    return lambda: meeting.join(timeout)


def test_all_come_agree_and_leave() -> None:
    all_of_them = meetings((2, 3), (0, 3), (1, 3))
    assert together(*map(come, all_of_them)) == [None] * 3
    assert {m.token for m in all_of_them} == {"token"}
    shared = together(*(lambda m=m: m.share(f"said by {m.place.host}") for m in all_of_them))
    assert shared == ["said by 0"] * 3
    assert together(*(lambda m=m: m.check_same("seeds", 7) for m in all_of_them)) == [None] * 3
    told = together(*(lambda m=m: m.check_same("seeds", m.place.host // 2) for m in all_of_them))
    assert all("seeds of process 2 differ from those of process 0" in text for text in told)
    assert together(*(lambda m=m: m.leave(1.0) for m in all_of_them)) == [None] * 3


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ([(0, 2), (1, 3)], "process 1 was told of 3 processes, and process 0 of 2"),
        ([(0, 3), (1, 3), (1, 3)], "two processes say that they are number 1"),
    ],
)
def test_what_contradicts_is_told_to_all(hosts: list[tuple[int, int]], told: str) -> None:
    texts = together(*(come(meeting) for meeting in meetings(*hosts)))
    assert all(told in text for text in texts)


def test_who_does_not_come_is_told() -> None:
    texts = together(*(come(meeting, 0.5) for meeting in meetings((0, 3), (2, 3))))
    assert "of 3 processes 2 have come within 0.5 s; missing: 1" in texts[0]
    assert "not all processes have come" in texts[1]


def test_process_0_that_cannot_be_reached_is_told() -> None:
    (alone,) = meetings((1, 2))
    with pytest.raises(MeetingError, match=r"process 1 cannot reach process 0 at 127\.0\.0\.1:"):
        alone.join(0.2)


@pytest.mark.parametrize("said", [b"", b'{"kind": "hello"}\n', b"GET / HTTP/1.1\r\n"])
def test_a_stranger_does_not_keep_the_others_from_meeting(said: bytes) -> None:
    port = free_port()
    first, other = (Meeting(HostPlace("127.0.0.1", port, 2, i), heartbeat=0.5) for i in (0, 1))

    def come_after_a_stranger() -> None:
        while True:
            try:
                stranger = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                continue
        with stranger:
            stranger.sendall(said)
            other.join(20.0)

    assert together(come(first, 20.0), come_after_a_stranger) == [None, None]
    assert other.token == "token"
    assert together(lambda: first.leave(1.0), lambda: other.leave(1.0)) == [None, None]


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("", 0)) as taken:
        meeting = Meeting(HostPlace("127.0.0.1", taken.getsockname()[1], 2, 0), 5.0)
        with pytest.raises(MeetingError, match="process 0 cannot listen at port"):
            meeting.open(0.2, lambda: "")


GUEST = """
import sys, time
from miniflow.distributed.meeting import Meeting
from miniflow.distributed.places import HostPlace
meeting = Meeting(HostPlace("127.0.0.1", int(sys.argv[1]), 3, int(sys.argv[2])), float(sys.argv[3]))
meeting.join(20) if sys.argv[2] != "0" else meeting.open(20, lambda: "")
print("joined", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize(("signal", "gone"), [("kill", 1), ("kill", 0), ("stop", 1)])
def test_one_that_is_killed_or_stopped_ends_the_others(signal: str, gone: int) -> None:
    import signal as signals

    port, heartbeat = free_port(), 30.0 if signal == "kill" else 1.0
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GUEST, str(port), str(host), str(heartbeat)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for host in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "joined\n"
        processes[gone].send_signal(signals.SIGKILL if signal == "kill" else signals.SIGSTOP)
        for host, process in enumerate(processes):
            if host == gone:
                continue
            _, errors = process.communicate(timeout=15)
            assert process.returncode == 1
            assert errors.count("\n") == 1
            assert f"error: process {gone} of 3 has " in errors
            assert ("was killed" if signal == "kill" else "said nothing for 1 s") in errors
    finally:
        for process in processes:
            process.kill()
            process.communicate()


# Which process this is.


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, ALONE),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, ALONE),  # not within srun
        (
            {
                "SLURM_STEP_NUM_TASKS": "4",
                "SLURM_PROCID": "2",
                "SLURM_STEP_NODELIST": "gpu[07-09,12]",
                "SLURM_JOB_ID": "123456",
            },
            HostPlace("gpu07", 10356, 4, 2),
        ),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.5", "MASTER_PORT": "29500"},
            HostPlace("10.0.0.5", 29501, 2, 1),
        ),
        (
            {
                "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
            },
            HostPlace("127.0.0.1", 9900, 2, 1),
        ),
    ],
)
def test_environments_of_clusters(environment: dict[str, str], place: HostPlace) -> None:
    assert place_for(environment=environment) == place


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"hosts": 2}, "host and coordinator are missing|coordinator and host are missing"),
        ({"hosts": 2, "host": 1}, "coordinator is missing"),
        ({"coordinator": "a:1", "hosts": 2, "host": 2}, "they count from 0 to 1"),
        ({"coordinator": "a", "hosts": 2, "host": 1}, "'node-a:9900', not 'a'"),
        ({"coordinator": "a:99999", "hosts": 2, "host": 1}, "the address and the port"),
    ],
)
def test_what_is_missing_or_wrong_is_told(said: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        place_for(**said)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"WORLD_SIZE": "4", "RANK": "1"}, "WORLD_SIZE=4 and no MASTER_ADDR"),
        ({"WORLD_SIZE": "4", "MASTER_ADDR": "a"}, "RANK='', which is no whole number"),
        ({"WORLD_SIZE": "four"}, "WORLD_SIZE='four', which is no whole number"),
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a"}, "RANK=2 of 2 processes"),
        ({"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "-1"}, "SLURM_PROCID='-1', which is no"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_RANK='', which is no"),
    ],
)
def test_an_environment_that_does_not_fit_is_told(environment: dict[str, str], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        place_for(environment=environment)
