"""The circuit breaker among asyncio tasks: who waits while the sink is not called, and who probes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..domain.circuit_breaker import CircuitBreaker, CircuitState, Permit


class Timer(Protocol):
    """A callback that was asked for and has not been called yet."""

    def cancel(self) -> object:
        """Do not call back; without effect once it has been."""


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Asks for a callback in the event loop after that many seconds."""


def _call_later(seconds: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, callback)


class SinkGate:
    """What a task awaits before it calls the sink, and tells how the call went.

    While the breaker is closed nobody waits. While it is not, one task at a time is let through when a probe
    is due: a task with a batch to write if one waits, else whoever awaits `idle_probe`. No permit is ever
    kept for a task that might not come for it, so a cancelled one leaves nothing behind.

    All verdicts must come through the gate, else those who wait are not woken before the next timer.
    Belongs to one event loop; none of the methods may be called from another thread.
    """

    def __init__(self, breaker: CircuitBreaker, *, call_later: CallLater = _call_later) -> None:
        """Guard with `breaker`; the gate itself keeps no time, `call_later` rings for `tick`."""
        self._breaker = breaker
        self._call_later = call_later
        self._seen = (breaker.state, breaker.probe_due_at)
        self._timer: Timer | None = None
        self._news = asyncio.Event()
        self._waiting = 0
        self._listeners: dict[object, tuple[Callable[[], None], Callable[[], None]]] = {}

    @property
    def is_open(self) -> bool:
        """Whether the sink is held to be out of order, so that nothing but probes is let through."""
        return self._breaker.state is not CircuitState.CLOSED

    @property
    def waiting(self) -> bool:
        """Whether a task with a call to make waits in `admitted`; one in `idle_probe` does not count."""
        return self._waiting > 0

    async def admitted(self) -> Permit:
        """Wait until a call may be made, as traffic or as the probe; the permit must be handed back once.

        To limit the wait use `asyncio.timeout`, not `asyncio.wait_for`: the latter runs a task in between,
        with which a permit can be lost. (A probe's permit that is lost is missed until the breaker gives it
        up, another's not at all.)
        """
        permit = self.try_admitted()
        if permit is not None:
            return permit
        self._waiting += 1
        try:
            while permit is None:
                await self._news.wait()
                permit = self.try_admitted()
            return permit
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wake()

    def try_admitted(self) -> Permit | None:
        """Leave to make a call now, if there is one to be had without waiting."""
        permit = self._breaker.acquire()
        self._follow()
        return permit

    async def idle_probe(self) -> Permit:
        """Wait until a probe is due while nobody has a call to make, and take its permit.

        Whoever awaits this in a loop, and then makes a call without content, sees to it that a sink that has
        recovered is noticed without traffic.
        """
        while True:
            if self.is_open and not self.waiting:
                permit = self.try_admitted()
                if permit is not None:
                    return permit
            await self._news.wait()

    def succeeded(self, permit: Permit) -> None:
        """The sink took the call."""
        self._breaker.succeeded(permit)
        self._follow()

    def failed(self, permit: Permit) -> None:
        """The sink did not take the call, for a reason of its own."""
        self._breaker.failed(permit)
        self._follow()

    def released(self, permit: Permit) -> None:
        """The call says nothing about the sink: cancelled, never made, or the data was at fault."""
        self._breaker.released(permit)
        self._follow()

    def listen(self, *, opened: Callable[[], None], closed: Callable[[], None]) -> Callable[[], None]:
        """Call back after each opening and each closing, until the returned function is called.

        A failed probe is no new opening. Callbacks run one after another in the event loop, in the order of
        the changes, outside of the call that caused them: they may call the gate, and what they raise goes to
        the loop's exception handler.
        """
        key = object()
        self._listeners[key] = (opened, closed)

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def tick(self) -> None:
        """Look at the clock: let those who wait try if a probe is due, else come back when it will be."""
        self._follow()
        self._set_timer()
        if self._breaker.seconds_until_probe() == 0:
            self._wake()

    def _follow(self) -> None:
        """Draw the consequences if the breaker has changed."""
        seen, self._seen = self._seen, (self._breaker.state, self._breaker.probe_due_at)
        if seen == self._seen:
            return
        self._set_timer()
        self._wake()
        was_open = seen[0] is not CircuitState.CLOSED
        if self.is_open is not was_open:
            for key in self._listeners:
                asyncio.get_running_loop().call_soon(self._tell, key, self.is_open)

    def _tell(self, key: object, is_open: bool) -> None:
        listener = self._listeners.get(key)
        if listener is not None:
            opened, closed = listener
            (opened if is_open else closed)()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds = self._breaker.seconds_until_probe()
        if seconds:
            self._timer = self._call_later(seconds, self.tick)

    def _wake(self) -> None:
        """Let everybody who waits look again; a fresh event keeps later ones waiting for what comes next."""
        news, self._news = self._news, asyncio.Event()
        news.set()
