"""How the processes of a training find each other, and notice that one is gone.

Process 0 listens; the others come to it. Over these connections go a sign of life several times in
each heartbeat, what process 0 says to all (`share`), the word that a process is ready for that
(`gather`), and that it has done its work.
The system closes the connections of a process that is killed, so all others know at once; one that
was stopped says nothing for as long as a heartbeat. Either way each process says in a sentence what
has happened, and ends: it may be in the middle of a sum with the one that is gone, and would wait
for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from miniflow.distributed.places import HostPlace
from miniflow.errors import MeetingError

FAILED = 1
SIGNS = 5  # of life, in a heartbeat
A_LOOK = 0.2  # seconds; for Ctrl-C, where the system does not end a wait for it


_THE_END = object()  # of a training, by Ctrl-C, among what process 0 says


def _do_nothing() -> None:
    pass


class _Peer:
    """A process at the other end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.host = 0
        self.is_done = False
        self.values: queue.Queue[Any] = queue.Queue()
        self.ready = 0, 0  # for which round
        self._file = connection.makefile("rb")
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):  # who is gone is noticed by its reader
            self.connection.sendall(data)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end. Raises TimeoutError after a heartbeat of silence."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self.connection.close()


class Meeting:
    """The processes of a training, as this one knows them.

    Attributes:
        place: which of them this is.
        has_failed: whether this process ends with an error of its own.
        token: what process 0 has told the others when all were there.
        on_interrupt: called, in another thread, when this process is to stop, as all do.
        is_interrupted: whether all have stopped together.
    """

    def __init__(self, place: HostPlace, heartbeat: float) -> None:
        self.place, self.token = place, ""
        self.has_failed = False  # with an error of its own
        self.on_interrupt: Callable[[], None] = _do_nothing
        self.is_interrupted = False
        self._unread_ends = 0  # among the values of process 0
        self._round = 0, 0  # of which training, and its how manyth
        self._came = threading.Condition()
        self._heartbeat = heartbeat
        self._peers: list[_Peer] = []
        self._is_over = threading.Event()
        self._all_done = threading.Event()
        self._lock = threading.Lock()

    # Coming together.

    def open(self, timeout: float, token: Callable[[], str]) -> None:
        """Process 0: wait until all others are there, and tell them a `token`.

        Raises MeetingError if they are not in time, or say other things than this one.
        """
        place = self.place
        try:
            family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
            door = socket.create_server(("", place.port), family=family, reuse_port=False)
        except OSError as error:
            raise MeetingError(
                f"distributed: process 0 cannot listen at port {place.port}: "
                f"{error.strerror or error}. Say another one in the coordinator's address."
            ) from None
        found: dict[int, _Peer] = {}
        try:
            with door:
                self._let_in(door, found, timeout)
        except MeetingError:
            for peer in found.values():
                peer.close()
            raise
        self.token = token()
        self._peers = [found[host] for host in sorted(found)]
        for peer in self._peers:
            peer.send(kind="begin", token=self.token)
        self._watch()

    def _let_in(self, door: socket.socket, found: dict[int, _Peer], timeout: float) -> None:
        """Wait for all others, and see that they are."""
        place, deadline = self.place, time.monotonic() + timeout
        while len(found) < place.hosts - 1:
            door.settimeout(max(0.05, deadline - time.monotonic()))
            try:
                peer = _Peer(door.accept()[0])
            except TimeoutError:
                self._tell_all(found.values(), "not all processes have come")
                missing = sorted(set(range(1, place.hosts)) - set(found))
                raise MeetingError(
                    f"distributed: of {place.hosts} processes {len(found) + 1} have come within "
                    f"{timeout:g} s; missing: {', '.join(map(str, missing))}."
                ) from None
            # Whoever is one of ours says so at once: a stranger does not keep the others waiting.
            peer.connection.settimeout(self._heartbeat)
            wrong = self._greet(peer, found)
            if wrong is None:
                peer.close()
                continue
            if wrong:
                self._tell_all([peer, *found.values()], wrong)
                peer.close()
                raise MeetingError(f"distributed: {wrong}.")
            found[peer.host] = peer

    def _greet(self, peer: _Peer, found: dict[int, _Peer]) -> str | None:
        """What is wrong with one who comes, "" if nothing is; None if it is no process of ours."""
        try:
            hello = peer.receive()
        except (OSError, ValueError):
            return None
        match hello:
            case {"kind": "hello", "host": int(host), "hosts": int(hosts)} if 0 <= host < hosts:
                peer.host = host
            case _:
                return None
        if hosts != self.place.hosts:
            return (
                f"process {peer.host} was told of {hosts} processes, and process 0 of "
                f"{self.place.hosts}"
            )
        if peer.host in found or peer.host == 0:
            return f"two processes say that they are number {peer.host}"
        return ""

    def _tell_all(self, peers: Any, why: str) -> None:
        for peer in peers:
            peer.send(kind="end", why=why)

    def join(self, timeout: float) -> None:
        """Any other process: come to process 0, and wait until all are there.

        Raises MeetingError if it cannot be reached in time, or they do not agree.
        """
        place, deadline = self.place, time.monotonic() + timeout
        where = f"{place.address}:{place.port}"
        while True:
            try:
                connection = socket.create_connection((place.address, place.port), timeout=2)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise MeetingError(
                        f"distributed: process {place.host} cannot reach process 0 at {where} "
                        f"within {timeout:g} s: {error.strerror or error}."
                    ) from None
                time.sleep(0.05)
        peer = _Peer(connection)
        connection.settimeout(max(1.0, deadline - time.monotonic() + self._heartbeat))
        peer.send(kind="hello", host=place.host, hosts=place.hosts)
        try:
            answer = peer.receive()
        except (OSError, ValueError):
            answer = None
        if answer is None or answer["kind"] == "end":
            peer.close()
        if answer is None:
            raise MeetingError(
                f"distributed: process 0 at {where} has not begun within {timeout:g} s."
            )
        if answer["kind"] == "end":
            raise MeetingError(f"distributed: {answer['why']}.")
        self.token = answer["token"]
        self._peers = [peer]
        self._watch()

    # Being together.

    def share(self, value: Any) -> Any:
        """What process 0 says, in all processes; all of them have to ask, in the same order.

        Raises KeyboardInterrupt where process 0 says that all stop (`interrupt`).
        """
        if self.place.host == 0:
            for peer in self._peers:
                peer.send(kind="value", value=value)
            return value
        value = self._peers[0].values.get()
        if value is _THE_END:
            self._unread_ends -= 1
            raise KeyboardInterrupt
        return value

    def begin_training(self) -> None:
        """Whoever was ready in the training before is so no more: its last round may have been
        another one in each process.
        """
        self._round = self._round[0] + 1, 0

    def gather(self) -> None:
        """Process 0: wait until all others are ready, too. Any other: say that it is. All of them
        have to call it, in the same order.
        """
        training, number = self._round
        self._round = training, number + 1
        if self.place.host:
            self._peers[0].send(kind="ready", round=self._round)
            return
        with self._came:
            while any(peer.ready < self._round for peer in self._peers):
                self._came.wait(A_LOOK)

    def interrupt(self) -> None:
        """Process 0: tell the others that all stop here. Any other: ask process 0 to."""
        self.is_interrupted |= self.place.host == 0
        for peer in self._peers:
            peer.send(kind="interrupt")

    def _note_interrupt(self, peer: _Peer) -> None:
        if self.place.host == 0:
            self.on_interrupt()
            return
        self.is_interrupted = True
        is_behind = not peer.values.empty()  # it has yet to do what was said before
        self._unread_ends += 1
        peer.values.put(_THE_END)
        if not is_behind:
            self.on_interrupt()

    def read_to_the_end(self) -> None:
        """After a KeyboardInterrupt: leave nothing of what process 0 has said before."""
        while self._unread_ends:
            with contextlib.suppress(KeyboardInterrupt):
                self.share(None)

    def check_same(self, what: str, value: Any) -> None:
        """See that all processes say the same; all of them have to ask.

        Raises MeetingError in each of them if they do not.
        """
        if self.place.host:
            self._peers[0].send(kind="value", value=value)
        different = [
            peer.host for peer in self._peers if not self.place.host and peer.values.get() != value
        ]
        different = self.share(different)
        if different:
            numbers = ", ".join(map(str, different))
            raise MeetingError(
                f"distributed: {what} of process {numbers} differ from those of process 0: each "
                "runs the same command, on the same data, with the same seed."
            )

    def leave(self, timeout: float) -> None:
        """Say that this process has done its work, and wait for the others, as long as they live;
        after that, at most so many seconds for the connections to close.
        """
        if self.place.host == 0:  # the word of process 0 is that all are done
            self._all_done.wait()
        for peer in self._peers:
            peer.send(kind="bye")
        self._all_done.wait()
        self._is_over.set()
        deadline = time.monotonic() + timeout
        for peer in self._peers:
            with contextlib.suppress(OSError):  # it is closed already
                peer.connection.settimeout(max(0.1, deadline - time.monotonic()))
                peer.connection.shutdown(socket.SHUT_WR)

    def tell_and_end(self) -> NoReturn:
        """End this process, which has said its error; the others are told, and end, too."""
        place = self.place
        why = f"process {place.host} of {place.hosts} has failed with an error of its own"
        self._tell_all(self._peers, why)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(FAILED)

    def wait_for_reason(self) -> None:
        """After an error that may come of another process's end: give its sentence the time to
        come, which ends this process.
        """
        if not self._is_over.is_set():
            time.sleep(min(self._heartbeat, 5.0))

    def _watch(self) -> None:
        for peer in self._peers:
            peer.connection.settimeout(self._heartbeat)
            threading.Thread(target=self._listen, args=(peer,), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._is_over.wait(self._heartbeat / SIGNS):
            for peer in self._peers:
                peer.send(kind="alive")

    def _listen(self, peer: _Peer) -> None:
        name = f"process {peer.host} of {self.place.hosts}"
        while True:
            try:
                message = peer.receive()
            except TimeoutError:
                self._end(
                    f"{name} has said nothing for {self._heartbeat:g} s: it was stopped, or "
                    "its machine cannot be reached",
                    peer,
                )
            except (OSError, ValueError):
                message = None
            if message is None and (peer.is_done or self._is_over.is_set()):
                peer.close()
                return
            if message is None:
                self._end(
                    f"{name} has ended before its work was done: it was killed, or it failed "
                    "with an error of its own",
                    peer,
                )
            if message["kind"] == "value":
                peer.values.put(message["value"])
            elif message["kind"] == "ready":
                with self._came:
                    peer.ready = tuple(message["round"])
                    self._came.notify_all()
            elif message["kind"] == "interrupt":
                self._note_interrupt(peer)
            elif message["kind"] == "end":
                self._end(message["why"], peer)
            elif message["kind"] == "bye":
                peer.is_done = True
                if all(other.is_done for other in self._peers):
                    self._all_done.set()

    def _end(self, why: str, source: _Peer) -> NoReturn:
        """Say what has happened, to the other processes and to the user, and end this process."""
        with self._lock:  # nobody else ends it with another sentence
            for peer in self._peers:
                if peer is not source:
                    peer.send(kind="end", why=why)
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            print(f"error: {why}. So this one ends, too.", file=sys.stderr, flush=True)
            os._exit(FAILED)


_now: list[Meeting] = []


def meeting() -> Meeting | None:
    """The meeting that this process is in; None if it is alone."""
    return _now[0] if _now else None


def begin(new: Meeting | None) -> None:
    """From now on, this process is in that meeting, or alone."""
    _now[:] = [] if new is None else [new]


def process_index() -> int:
    """Which of the processes this is: 0 if it is alone.

    >>> process_index(), process_count(), is_first()
    (0, 1, True)
    """
    return _now[0].place.host if _now else 0


def process_count() -> int:
    """How many processes train together: 1 if this one is alone.

    >>> process_count()
    1
    """
    return _now[0].place.hosts if _now else 1


def is_first() -> bool:
    """Whether this process is the one that writes files: process 0, or one that is alone.

    >>> if is_first():
    ...     print("written by one process")
    written by one process
    """
    return process_index() == 0
