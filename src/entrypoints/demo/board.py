"""What the demo shows at any moment, whatever it is shown on."""

import enum
import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .bridge_numbers import BridgeNumbers
from .delivery_check import DeliveryCheck
from .produced_events import ProducedEvents

_NAMES = (
    *("Ada", "Bertolt", "Chinua", "Doris", "Emily", "Franz", "Gabriela", "Halldór"),
    *("Isabel", "José", "Karen", "Lu Xun", "Maya", "Nagib", "Olga", "Pablo"),
)
_NOTES_KEPT = 50

OPEN = "Open {} in a browser, to watch and to break things"
"""The first that a person is told."""


class RedisState(enum.Enum):
    """Where the key `r` or the page's button has brought the server."""

    RUNS = "runs"
    STOPPING = "is stopping"
    STOPPED = "is stopped"
    STARTING = "is starting"


class BridgeState(enum.Enum):
    """Where its process is."""

    STARTING = "is starting"
    RUNS = "runs"
    KILLED = "was killed"


@dataclass(slots=True)
class UserPage:
    """One user, and what has arrived on their page."""

    user_id: str
    name: str
    events: int = 0
    event_type: str = ""
    text: str = ""
    age_ms: int | None = None
    """Of the last event: from Kafka's timestamp until it was read from the stream."""
    arrived_at: float = 0.0
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, beside the events."""

    at: datetime
    text: str


@dataclass(slots=True)
class Board:
    """Everything that the screen is drawn from."""

    pages: Sequence[UserPage]
    numbers: BridgeNumbers = field(default_factory=BridgeNumbers)
    check: DeliveryCheck = field(default_factory=DeliveryCheck)
    produced: Mapping[str, ProducedEvents] = field(default_factory=lambda: defaultdict(ProducedEvents))
    """By user: what their page is to see."""
    address: str = ""
    """Of the page in the browser; empty until it is served."""
    redis: RedisState = RedisState.RUNS
    bridge: BridgeState = BridgeState.STARTING
    starting: str = "starting"
    """What is waited for before the first event; empty once it has come."""
    ending: str = ""
    """What is waited for once the end was asked for."""
    keyboard: bool = False
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=_NOTES_KEPT))

    @property
    def broken(self) -> str:
        """What events wait for now, in words; empty where nothing holds them up."""
        if self.redis is not RedisState.RUNS:
            return "Redis, which was stopped"
        return "" if self.bridge is BridgeState.RUNS else "the bridge, which was killed"

    def note(self, text: str) -> Note:
        """Keep what happened, with the time of day."""
        note = Note(datetime.now().astimezone(), text)
        self.notes.append(note)
        return note


def pages_for(user_ids: Sequence[str]) -> Sequence[UserPage]:
    """Empty pages, with names for people to tell them apart."""
    return [UserPage(user_id, _name(index)) for index, user_id in enumerate(user_ids)]


def snippet(payload: object) -> str:
    """A message's payload on one line, which cannot move the terminal's cursor."""
    if isinstance(payload, dict):
        text = " · ".join(
            value if isinstance(value, str) else f"{name} {json.dumps(value, ensure_ascii=False)}"
            for name, value in payload.items()
        )
    else:
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return "".join(character if character.isprintable() else " " for character in text)


def age_text(age_ms: int | None) -> str:
    """Milliseconds, and from ten seconds on seconds."""
    if age_ms is None:
        return ""
    return f"{age_ms} ms" if age_ms < 10_000 else f"{age_ms / 1000:.1f} s"


def _name(index: int) -> str:
    round_, place = divmod(index, len(_NAMES))
    return _NAMES[place] if round_ == 0 else f"{_NAMES[place]} {round_ + 1}"
