"""The clients, thousands of them in one process: reads what comes and checks that it is right.

Takes commands as lines of JSON and answers each with one line, once it is done:

    {"do": "open", "group", "port", "users": [first, last], "count", "rate"}
    {"do": "await", "group", "upto"}    until each has got its event of this number
    {"do": "leave", "group"}
    {"do": "return", "group", "port"}   all at once, where they left off; only `await` is answered
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import select
import socket
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Any, NoReturn

from benchmarks.gateway.events import Reading, WrongStream, users

_READ_BYTES = 1 << 16
_PATIENCE_SECONDS = 60.0
_SOURCES = 8
"""Addresses that clients come from, for the sake of the ports."""
_IN_FLIGHT = 200
"""Connects under way where the rate is not given and they are not to come at once."""
_AT_ONCE = 1e6
_CONTROL = 0


class Client:
    """One connection."""

    __slots__ = ("asked_at", "group", "reading", "socket", "user")

    def __init__(self, group: Group, user: str) -> None:
        self.group = group
        self.user = user
        self.reading = Reading()
        self.socket: socket.socket | None = None
        self.asked_at = 0.0


class Group:
    """Clients that are spoken of together."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.times = array("q")
        self.port = 0
        self.rate = 0.0
        self.opened = self.begun = self.already = 0
        self.began_at = 0.0
        self.slowest = 0.0
        self.upto = 0
        self.lacking = 0
        self.deadline = float("inf")
        self.opening = False


class Audience:
    """All groups, and the loop that reads them."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._groups: dict[str, Group] = {}
        self._by_descriptor: dict[int, Client] = {}
        self._opening: list[Group] = []
        self._input = b""
        self._sources = 0

    def run(self) -> None:
        """Serve commands until there are no more."""
        os.set_blocking(_CONTROL, False)
        self._poll.register(_CONTROL, select.EPOLLIN)
        clients, read, clock = self._by_descriptor, os.read, time.monotonic_ns
        while True:
            for descriptor, _ in self._poll.poll(0.001 if self._opening else 0.5, 512):
                if descriptor == _CONTROL:
                    if not self._commands():
                        return
                    continue
                client = clients.get(descriptor)
                if client is None:
                    continue
                if not client.asked_at:
                    self._ask(client, descriptor)
                    continue
                group, reading = client.group, client.reading
                begun, before = reading.begun, reading.number
                try:
                    chunk = read(descriptor, _READ_BYTES)
                    if not chunk:
                        raise WrongStream("the stream ended")
                    reading.take(chunk, clock(), group.times)
                except (OSError, WrongStream) as error:
                    _fail(f"{client.user} after event {reading.number}: {error}")
                if not begun and reading.begun:
                    self._has_begun(client)
                if before < group.upto <= reading.number:
                    group.lacking -= 1
                    if not group.lacking:
                        self._answer_times(group)
            self._open_more()
            self._watch_the_time()

    # -- commands

    def _commands(self) -> bool:
        chunk = os.read(_CONTROL, 1 << 16)
        if not chunk:
            return False
        *lines, self._input = (self._input + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            group = self._groups.setdefault(command.pop("group"), Group())
            getattr(self, f"_do_{command.pop('do')}")(group, **command)
        return True

    def _do_open(
        self,
        group: Group,
        *,
        port: int,
        users: Sequence[int],
        count: int,
        rate: float,
    ) -> None:
        names = _NAMES[slice(*users)]
        group.clients += [Client(group, names[number % len(names)]) for number in range(count)]
        group.opening = True
        self._open(group, port, rate)

    def _do_return(self, group: Group, *, port: int) -> None:
        group.opened = group.begun = 0
        self._open(group, port, _AT_ONCE)

    def _do_await(self, group: Group, *, upto: int) -> None:
        group.upto = upto
        group.lacking = sum(client.reading.number < upto for client in group.clients)
        group.deadline = time.monotonic() + _PATIENCE_SECONDS
        if not group.lacking:
            self._answer_times(group)

    def _do_leave(self, group: Group) -> None:
        for client in group.clients:
            if client.socket is not None:
                del self._by_descriptor[client.socket.fileno()]
                client.socket.close()
                client.socket, client.asked_at = None, 0.0
                client.reading = Reading(client.reading.number, client.reading.position)
        _say({})

    # -- what happens

    def _open(self, group: Group, port: int, rate: float) -> None:
        group.port, group.rate = port, rate
        group.already = group.opened
        group.slowest, group.began_at = 0.0, time.monotonic()
        group.deadline = group.began_at + _PATIENCE_SECONDS
        self._opening.append(group)

    def _open_more(self) -> None:
        for group in tuple(self._opening):
            waiting = len(group.clients) - group.opened
            if group.rate:
                passed = (time.monotonic() - group.began_at) * group.rate
                more = min(waiting, int(passed) + group.already - group.opened)
            else:
                more = min(waiting, _IN_FLIGHT - (group.opened - group.begun))
            for client in group.clients[group.opened : group.opened + max(0, more)]:
                self._connect(client)
                group.opened += 1
            if group.opened == len(group.clients):
                self._opening.remove(group)

    def _connect(self, client: Client) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no TIME_WAIT
        connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        self._sources += 1
        connection.bind((f"127.0.0.{2 + self._sources % _SOURCES}", 0))
        client.socket = connection
        code = connection.connect_ex(("127.0.0.1", client.group.port))
        if code not in {0, errno.EINPROGRESS}:
            _fail(os.strerror(code))
            return
        self._by_descriptor[connection.fileno()] = client
        self._poll.register(connection.fileno(), select.EPOLLOUT)

    def _ask(self, client: Client, descriptor: int) -> None:
        position = client.reading.position
        resumes = f"Last-Event-ID: {position}\r\n" if position else ""
        request = f"GET /events?user={client.user} HTTP/1.1\r\nHost: localhost\r\n{resumes}\r\n"
        client.asked_at = time.monotonic()
        try:
            os.write(descriptor, request.encode())
        except OSError as error:
            _fail(f"connect: {error}")
            return
        self._poll.modify(descriptor, select.EPOLLIN)

    def _has_begun(self, client: Client) -> None:
        group = client.group
        group.begun += 1
        group.slowest = max(group.slowest, time.monotonic() - client.asked_at)
        if group.begun == len(group.clients) and group.opening:
            group.opening = False
            seconds = time.monotonic() - group.began_at
            self._answer(group, seconds=seconds, slowest_ms=group.slowest * 1000, open=group.begun)

    # -- answers

    def _answer_times(self, group: Group) -> None:
        times, group.times = group.times, array("q")
        group.upto = 0
        self._answer(group, at=time.monotonic_ns(), times=times.tolist())

    def _answer(self, group: Group, **found: Any) -> None:  # noqa: ANN401 - whatever JSON takes
        if not group.opening and not group.lacking:
            group.deadline = float("inf")
        _say(found)

    def _watch_the_time(self) -> None:
        now = time.monotonic()
        for group in self._groups.values():
            if now > group.deadline:
                lacking = group.lacking or len(group.clients) - group.begun
                _fail(f"{lacking} clients lack something after {_PATIENCE_SECONDS:g} s")


def _fail(why: str) -> NoReturn:
    """One mistake makes the whole run worthless."""
    _say({"error": why})
    sys.exit(1)


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


_NAMES = users(20_000)

if __name__ == "__main__":
    gc.disable()  # nothing here goes round in circles, and a pause would be taken for the server's
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Audience().run()
