"""The gateway's ports: what serving streams to pages asks of the outside world."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from ..domain.continuity import StreamView
from ..domain.position import StreamId
from ..domain.routing import Target

MAX_CHUNK_BYTES = 65_536
"""How much of a replay is written to an `Outlet` at once, unless a single event is larger."""


class FeedEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a stream, as a page is to get it."""

    id: StreamId
    prev: StreamId
    event: str
    data: str
    """The JSON exactly as it goes to the page."""
    timestamp: int | None
    """Kafka's, milliseconds since the epoch."""
    traceparent: str | None = None

    @property
    def shown(self) -> tuple[str, str, str]:
        """What a page sees of it: its id, its event, its data."""
        return str(self.id), self.event, self.data


class FeedPage(msgspec.Struct, frozen=True):
    """Entries after a cursor, read together with what proves the cursor's continuity."""

    view: StreamView
    entries: Sequence[FeedEntry]


class StreamEnds(msgspec.Struct, frozen=True):
    """Where streams of one shard end, all at one moment."""

    empty: StreamView
    """What one of them would look like that has no entry."""
    last_ids: Sequence[StreamId | None]
    """Of each stream that was asked for; None where there is none."""


class LiveCopy(NamedTuple):
    """An entry as it was announced, in texts that nobody has looked at yet: most need no more than to be
    compared and sent on."""

    target: str
    """`user:<id>`, as in the stream's key."""
    id: str
    prev: str
    """The id of the entry before it in its stream, `0-0` for the first."""
    timestamp: str
    """Kafka's, or for an entry without a record the store's: milliseconds since the epoch."""
    traceparent: str
    """Empty where the producer sent none."""
    event: str
    data: str


class LiveCopies(msgspec.Struct, frozen=True, gc=False):
    """What was appended to a shard in one go: hints, the streams are the truth."""

    epoch: str
    copies: Sequence[LiveCopy]


class Subscribed(msgspec.Struct, frozen=True):
    """The subscription of this shard was confirmed: whatever came before may have been missed."""

    shard: int


class Interrupted(msgspec.Struct, frozen=True):
    """The subscription of this shard was cut: nothing comes until `Subscribed`. A feed that does not
    notice says nothing; then the next read finds out."""

    shard: int


class EpochChanged(msgspec.Struct, frozen=True):
    """The shard's epoch changed: cursors are to be proved anew."""

    shard: int
    epoch: str


LiveNews = LiveCopies | Subscribed | Interrupted | EpochChanged


N = TypeVar("N")

Hear = Callable[[Sequence[N]], None]
"""Called the moment something comes, from where it is read: a task for each taker would cost more than what
most events do."""


class EventFeed(Protocol):
    """Streams as they are kept, and their live copies. Raises `SinkUnavailable`, `SinkMisconfigured`."""

    shards: int

    async def read(self, target: Target, after: StreamId | None, count: int) -> FeedPage:
        """Up to `count` (at least 1) entries with ids above `after` (None: from the first one kept), oldest
        first.

        View and entries are of one moment; `cursor_exists` speaks of `after`, which may be any pair of
        64-bit numbers.
        """

    async def read_last(self, target: Target, count: int) -> FeedPage:
        """The last `count` (at least 1) entries, oldest first; `cursor_exists` is False."""

    async def ends(self, shard: int, targets: Sequence[Target]) -> StreamEnds:
        """Where the streams of some (at least one) of a shard's targets end."""

    async def live(self, hear: "Hear[LiveNews]") -> None:
        """Tell what is announced in the shards of interest, in batches, until cancelled.

        One subscription per shard and process; reconnects by itself, and says so by `Subscribed`.
        Raises nothing but cancellation: while the store is away nothing comes. By one at a time.
        """

    async def watch(self, shard: int) -> None:
        """Be interested in a shard; counted, so each call wants its own `unwatch`.

        Returns while the subscription may still be under way (`Subscribed` says when it holds), also
        where the store is away.
        """

    async def unwatch(self, shard: int) -> None:
        """Be interested no more."""


class Outlet(Protocol):
    """One connection's way out, as the hub uses it; belongs to one event loop, nothing in it raises.

    It has a bound, in events and bytes, of what was written and did not reach the socket yet. When bytes
    reach the socket it tells `GatewayTelemetry.delivered`. `application.mailbox.Mailbox` is the one for
    ASGI; one that writes to a transport needs neither a queue nor a task.
    """

    def write(self, chunk: bytes, timestamps: Sequence[int | None] = ()) -> bool:
        """Take whole frames, and Kafka's timestamp (ms) of each event in them.

        False, and nothing is taken, where the bound had been reached before: the connection is too slow.
        After `close` nothing is taken, and True is returned.
        """

    async def drained(self) -> None:
        """Wait until there is room for a part of a replay (`MAX_CHUNK_BYTES`), or the outlet is closed."""

    def close(self, *, flush: bool) -> None:
        """Take nothing more; `flush`: what was taken is sent before the connection ends, else dropped.

        Called more than once, also by a connection that is gone.
        """


class Page(Protocol):
    """Who wants to know what becomes of a connection."""

    def sending(self) -> None:
        """Something waits from now on until the client takes it."""

    def gone(self) -> None:
        """The connection is over."""


class Leases(Protocol):
    """Slots that all gateways share: how many streams one user has open. Heals after a crash by expiry."""

    async def take(self, user_id: str, connection: str, limit: int) -> bool:
        """Take or renew one of `limit` slots (0: no limit); False where all are taken.

        Raises `SinkUnavailable`: the caller lets the page in, and counts it.
        """

    async def release(self, user_id: str, connection: str) -> None:
        """Give it back; an error is of no consequence, the slot expires."""


class Tickets(Protocol):
    """One-time tickets for pages that can send neither header nor cookie."""

    async def issue(self, user_id: str, expires_at: int, token_id: str | None) -> str:
        """A new ticket for the user, good for 30 s and once; what it opens ends at `expires_at` (s)."""

    async def redeem(self, ticket: str) -> "Identity | None":
        """Whom it was issued to, the first time within its life; None else."""


class Identity(msgspec.Struct, frozen=True):
    """Who a page is: from a verified token (or its ticket) alone."""

    user_id: str
    expires_at: int
    """Seconds since the epoch: the stream ends then at the latest."""
    token_id: str | None
    """`jti`, where the token has one; can be revoked."""


class Revocations(Protocol):
    """Who may not read any more, although the token is still good."""

    async def is_revoked(self, identity: Identity) -> bool:
        """Whether this user or this token was revoked."""

    async def revoke(self, *, user_id: str | None = None, token_id: str | None = None) -> None:
        """Revoke from now on, and tell every gateway."""

    async def announced(self, hear: "Hear[str]") -> None:
        """Tell what is revoked, as `user:<id>` and `jti:<id>`, until cancelled; read again after a reconnect
        by asking `is_revoked` for every open stream (an empty batch says so)."""


class Tokens(Protocol):
    """Verifies tokens. Pure CPU and cached keys: never waits for the network."""

    def identify(self, token: str) -> Identity:
        """Who it is. Raises `Unauthorized`, whose text says why without repeating the token."""


class DeliveryTrace(Protocol):
    """What was begun for sampled events that are on their way to pages."""

    def end(self, pages: int) -> None:
        """They were handed to the connections of so many pages."""


class DeliveryTracing(Protocol):
    """Spans for events that their producers sampled; a gateway without tracing has none.

    Asked once for all entries and pages of one delivery; both answer None where no entry is sampled.
    """

    def live(self, target: Target, entries: Sequence[FeedEntry]) -> DeliveryTrace | None:
        """Entries go to all live pages of a target: each sampled one continues its trace."""

    def replay(self, target: Target, entries: Sequence[FeedEntry]) -> DeliveryTrace | None:
        """Entries go to one page that catches up, perhaps once more: linked to, not continued."""


class GatewayTelemetry(Protocol):
    """What operators see of the gateway as numbers; nothing blocks or raises.

    The hub tells the first three, the outlets tell `delivered`, the HTTP layer the last.
    """

    def connected(self) -> None:
        """A stream was opened."""

    def disconnected(self, reason: str) -> None:
        """A stream ended; `reason` is one of few words (`stream_session.EndReason` and the HTTP layer's)."""

    def resumed(self, result: str) -> None:
        """A cursor was proved (`continuous`), or reset for a reason."""

    def delivered(self, timestamps: Sequence[int | None], now_ms: int) -> None:
        """Events were handed to the socket; Kafka's timestamps, ms, in a sequence that stays as it is."""

    def failed_open(self, limit: str) -> None:
        """A limit could not be checked and the page was let in."""
