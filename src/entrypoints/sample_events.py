"""Sample events: sessions of several users that work on novels, the same again from the same seed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from .sample_stories import NOVELS, STAGES, Novel, proposal

_FAILING_SHARE = 0.08
"""Of sessions, those that end in `Genesis.Session.Failed`."""

_TRACED_SHARE = 0.1
"""Of sessions, those whose producer samples a trace."""

Step = tuple[str, Mapping[str, object]]
"""An event's type after `Genesis.Session.`, and what the page shows."""


@dataclass(frozen=True, slots=True)
class SampleEvent:
    """One record for the topic."""

    user_id: str
    event_type: str
    key: bytes
    """The session's id: it keeps a session's events in one partition, hence in order."""
    value: bytes
    headers: Sequence[tuple[str, bytes]]


def sample_users(count: int, seed: int) -> Sequence[str]:
    """The ids of the users whose sessions `sample_events` plays."""
    randomness = Random(f"users of {seed}")  # noqa: S311 - samples
    return [_uuid(randomness) for _ in range(count)]


def sample_events(
    users: int, *, seed: int, sessions: int = 1, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[SampleEvent]:
    """Play sessions without end, several at once; a user whose session ends begins another.

    `users` have `sessions` open each. About one event in four is of a type that pages do not see. The same
    seed gives the same events, but for the times, which `now` tells as each event is taken.
    """
    randomness = Random(seed)  # noqa: S311 - samples
    players = [user for user in sample_users(users, seed) for _ in range(sessions)]
    running = [_session(user, randomness, now) for user in players]
    while True:
        turn = randomness.randrange(len(running))
        event = next(running[turn], None)
        if event is None:
            running[turn] = _session(players[turn], randomness, now)
        else:
            yield event


def _session(user_id: str, randomness: Random, now: Callable[[], datetime]) -> Iterator[SampleEvent]:
    session_id, novel_id, correlation_id = (_uuid(randomness) for _ in range(3))
    trace_id = f"{randomness.getrandbits(128) or 1:032x}"
    flags = "01" if randomness.random() < _TRACED_SHARE else "00"
    previous: str | None = None
    for kind, content in _steps(randomness.choice(NOVELS), randomness):
        event_id, at = _uuid(randomness), now().isoformat(timespec="milliseconds")
        envelope = {
            "event_id": event_id,
            "event_type": f"Genesis.Session.{kind}",
            "aggregate_id": session_id,
            "aggregate_type": "GenesisSession",
            "correlation_id": correlation_id,
            "causation_id": previous,
            "created_at": at,
            "metadata": {"trace_id": trace_id, "producer": "sample"},
            "payload": {
                "user_id": user_id,
                "session_id": session_id,
                "novel_id": novel_id,
                "timestamp": at,
                "content": content,
            },
        }
        previous = event_id
        span_id = f"{randomness.getrandbits(64) or 1:016x}"
        yield SampleEvent(
            user_id=user_id,
            event_type=f"Genesis.Session.{kind}",
            key=session_id.encode(),
            value=json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode(),
            headers=(
                ("correlation_id", correlation_id.encode()),
                ("traceparent", f"00-{trace_id}-{span_id}-{flags}".encode()),
            ),
        )


def _steps(novel: Novel, randomness: Random) -> Iterator[Step]:
    yield "Started", {"title": novel.title, "genre": novel.genre}
    for stage in STAGES:
        yield from _stage(novel, stage, randomness)
        if randomness.random() < _FAILING_SHARE / len(STAGES):
            yield (
                "Failed",
                {"title": novel.title, "stage": stage, "message": "The muse did not answer."},
            )
            return
    yield "Finished", {"title": novel.title, "chapters": len(novel.turns)}


def _stage(novel: Novel, stage: str, randomness: Random) -> Iterator[Step]:
    rounds = randomness.randint(1, 3)
    for version in range(rounds):
        yield f"{stage}.Requested", {"attempt": version + 1}
        yield f"{stage}.Proposed", proposal(novel, stage, version)
    if randomness.random() < 0.4:
        yield f"{stage}.Updated", {**proposal(novel, stage, rounds - 1), "edited_by": "author"}
    yield f"{stage}.Confirmed", proposal(novel, stage, rounds - 1)
    yield "StageCompleted", {"stage": stage, "proposals": rounds}


def _uuid(randomness: Random) -> str:
    return str(UUID(int=randomness.getrandbits(128), version=4))
