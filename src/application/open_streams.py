"""The streams that a gateway has open: ended when their time is over, when revoked, and at a stop."""

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol

from .admission import Admitted
from .errors import SinkMisconfigured, SinkUnavailable
from .gateway_ports import Identity, Revocations
from .ports import Clock
from .wheel import Wheel

RENEW_SECONDS: Final = 20.0
"""Between two renewals of one lease; a third of its life."""

SWEEP_SECONDS: Final = 1.0
"""Between two looks at whose time is over."""

_LOOK_AHEAD_SECONDS: Final = 3600.0
"""How far ahead it is noted whose time is over; where that is later, it is noted again then."""

AGE_JITTER: Final = 0.2
"""Share of the maximum age by which ages differ, so that streams opened at once do not end at once."""

RETRY_MS: Final = (500, 3000)
"""When a page may come again that was ended without a fault of its own."""

DRAIN_PER_SECOND: Final = 50
"""Streams that are ended per second at a stop; more only where the time given would not do. Few enough that
whoever takes their pages over does not notice."""

_AT_ONCE: Final = 16
"""Questions to Redis at one time, of all that are asked here."""


class EndedBy(StrEnum):
    """Why the gateway ended a stream; fit for a metric's label."""

    AGE = "age"
    TOKEN = "token_expired"  # noqa: S105 - a reason, not a token
    REVOKED = "revoked"
    DRAIN = "drain"
    SEND_TIMEOUT = "send_timeout"
    CUT = "cut"


class ServedStream(Protocol):
    """A stream as its connection serves it. Nothing in it raises or waits."""

    identity: Identity
    slot: Admitted
    ends_at: float
    """`Clock.monotonic` at which it must end."""
    ends_with_token: bool
    """Whether that is for the token's sake."""

    @property
    def sending_since(self) -> float | None:
        """Since when the connection takes nothing of what is sent; None while nothing waits. Where something
        begins to, `OpenStreams.watch` is to be told."""

    def end(self, reason: EndedBy, retry_ms: int | None) -> None:
        """Tell the page when to come again (None: nothing), send what waits, then close."""

    def cut(self, reason: EndedBy) -> None:
        """Close at once."""


class OpenStreams:
    """Knows all of them. For one event loop; `run` is what keeps the promises."""

    def __init__(
        self,
        revocations: Revocations,
        clock: Clock,
        *,
        max_age_seconds: float,
        send_timeout_seconds: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` spreads what would otherwise happen at once: 0 to 1."""
        self._revocations = revocations
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._chance = chance
        self._streams: dict[ServedStream, int] = {}
        """Each one's slot in the wheel, until its time is over."""
        self._ends: Wheel[ServedStream] = Wheel(int(_LOOK_AHEAD_SECONDS / SWEEP_SECONDS))
        self._began = clock.monotonic()
        self._sending: dict[ServedStream, None] = {}
        self._doubtful: dict[ServedStream, None] = {}
        self._doubts = asyncio.Event()
        self._leaving: deque[Admitted] = deque()
        self._left = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False
        """Whether streams are being ended for good: no new one is to be opened."""
        self.heard = 0
        """Counts what was announced about revocations; to be noted before a page is identified."""

    def __len__(self) -> int:
        return len(self._streams)

    def lifetime(self, identity: Identity) -> tuple[float, bool]:
        """When a stream that opens now must end, and whether for the token's sake.

        The token's end is by the wall clock; a sweep earlier, so that it is never passed.
        """
        jitter = 1 + AGE_JITTER * (2 * self._chance() - 1)
        of_token = identity.expires_at - self._clock.now_ms() / 1000 - SWEEP_SECONDS
        of_age = self._max_age_seconds * jitter
        return self._clock.monotonic() + min(of_age, of_token), of_token < of_age

    def add(self, stream: ServedStream, heard_before: int) -> None:
        """Keep a stream, and its slot, until `remove`; `heard_before` is what `heard` was before it was
        identified."""
        self._put(stream)
        if stream.sending_since is not None:
            self.watch(stream)
        self._empty.clear()
        if heard_before != self.heard:
            self._doubt((stream,))

    def remove(self, stream: ServedStream) -> None:
        """The stream is over: its slot is given back, as far as all gateways share it a little later."""
        slot = self._streams.pop(stream, None)
        if slot is None:
            return
        self._ends.drop(stream, slot)
        self._sending.pop(stream, None)
        self._doubtful.pop(stream, None)
        stream.slot.free()
        self._leaving.append(stream.slot)
        self._left.set()

    def watch(self, stream: ServedStream) -> None:
        """Something is being sent to its page: cut it if that takes too long."""
        self._sending[stream] = None

    def retry_ms(self) -> int:
        """When a page may come again; differs from page to page."""
        shortest, longest = RETRY_MS
        return round(shortest + (longest - shortest) * self._chance())

    async def run(self) -> None:
        """Sweep, renew and listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep_forever())
            tasks.create_task(self._renew_forever())
            tasks.create_task(self._revocations.announced(self._hear))
            tasks.create_task(self._resolve_doubts_forever())
            tasks.create_task(self._give_back_forever())

    async def drain(self, seconds: float) -> None:
        """End all streams, spread over at most so many seconds; answers when all were told.

        Each page is told another moment to come again.
        """
        self.draining = True
        leaving = list(self._streams)
        random.shuffle(leaving)
        seconds = min(seconds, len(leaving) / DRAIN_PER_SECOND)
        begun = self._clock.monotonic()
        for count, stream in enumerate(leaving):
            ahead = begun + seconds * count / len(leaving) - self._clock.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if stream in self._streams:
                stream.end(EndedBy.DRAIN, self.retry_ms())

    async def gone(self) -> None:
        """Wait until no stream is open, and every slot was given back."""
        await self._empty.wait()

    def cut_all(self) -> None:
        """Close whatever is still open."""
        for stream in list(self._streams):
            stream.cut(EndedBy.DRAIN)

    def cut_user(self, user_id: str) -> int:
        """Close every stream of one user at once, as a broken network would; answers how many."""
        streams = [stream for stream in self._streams if stream.identity.user_id == user_id]
        for stream in streams:
            stream.cut(EndedBy.CUT)
        return len(streams)

    def sweep(self) -> None:
        """Cut what takes nothing, and end what is too old. Looks only at what may be either: to walk through
        thousands would hold events up."""
        now = self._clock.monotonic()
        for stream in list(self._sending):
            since = stream.sending_since
            if since is None:
                del self._sending[stream]
            elif now - since > self._send_timeout_seconds:
                stream.cut(EndedBy.SEND_TIMEOUT)
        due = math.floor((now - self._began) / SWEEP_SECONDS) + 1 - self._ends.now
        # One turn at the least: a sweep may come a little early, and what is over must not wait for the next.
        for _ in range(max(due, 1)):
            for stream in self._ends.turn():
                if now >= stream.ends_at:
                    stream.end(EndedBy.TOKEN if stream.ends_with_token else EndedBy.AGE, self.retry_ms())
                else:
                    self._put(stream)

    def _put(self, stream: ServedStream) -> None:
        ahead = stream.ends_at - self._began - self._ends.now * SWEEP_SECONDS
        turns = math.ceil(min(ahead, _LOOK_AHEAD_SECONDS) / SWEEP_SECONDS)
        self._streams[stream] = self._ends.put(stream, turns)

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    async def _renew_forever(self) -> None:
        while True:
            begun = self._clock.monotonic()
            held = [stream for stream in self._streams if stream.slot.leased]
            for first in range(0, len(held), _AT_ONCE):
                await self._each(held[first : first + _AT_ONCE], _renew)
                ahead = begun + RENEW_SECONDS * (first + _AT_ONCE) / len(held) - self._clock.monotonic()
                await asyncio.sleep(max(0.0, min(ahead, RENEW_SECONDS)))
            await asyncio.sleep(max(SWEEP_SECONDS, begun + RENEW_SECONDS - self._clock.monotonic()))

    def _hear(self, names: Sequence[str]) -> None:
        self.heard += 1
        if names:
            revoked = set(names)
            for stream in list(self._streams):
                if revoked & _names(stream.identity):
                    stream.end(EndedBy.REVOKED, None)
        else:
            self._doubt(self._streams)

    def _doubt(self, streams: Iterable[ServedStream]) -> None:
        self._doubtful.update(dict.fromkeys(streams))
        self._doubts.set()

    async def _resolve_doubts_forever(self) -> None:
        """Ask for each stream about which something may have been announced while nobody listened."""
        while True:
            await self._doubts.wait()
            self._doubts.clear()
            while self._doubtful:
                asked = list(self._doubtful)[:_AT_ONCE]
                try:
                    await self._each(asked, self._end_if_revoked)
                except (SinkUnavailable, SinkMisconfigured):
                    await asyncio.sleep(SWEEP_SECONDS)

    async def _end_if_revoked(self, stream: ServedStream) -> None:
        if await self._revocations.is_revoked(stream.identity):
            stream.end(EndedBy.REVOKED, None)
        self._doubtful.pop(stream, None)

    async def _give_back_forever(self) -> None:
        while True:
            await self._left.wait()
            self._left.clear()
            while self._leaving:
                slots = [self._leaving.popleft() for _ in range(min(_AT_ONCE, len(self._leaving)))]
                await asyncio.gather(*(slot.aclose() for slot in slots))
            if not self._streams:
                self._empty.set()

    async def _each(
        self, streams: Sequence[ServedStream], act: Callable[[ServedStream], Awaitable[None]]
    ) -> None:
        results = await asyncio.gather(*(act(stream) for stream in streams), return_exceptions=True)
        for error in results:
            if error is not None:
                raise error


async def _renew(stream: ServedStream) -> None:
    with contextlib.suppress(SinkUnavailable, SinkMisconfigured):
        await stream.slot.renew()


def _names(identity: Identity) -> set[str]:
    names = {f"user:{identity.user_id}"}
    if identity.token_id is not None:
        names.add(f"jti:{identity.token_id}")
    return names
