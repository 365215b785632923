"""A sample envelope, and ways to bend it."""

import json
from typing import Any

EVENT_ID = "3f2b8a52-6a3e-4d0f-9a10-0d7a1f6f1c01"
SESSION_ID = "8d6c1a8e-52b3-4f6e-b7a9-5a2f3a0c1b02"
USER_ID = "c1f6a0d4-1b7e-4f0c-8a3d-2b9e6f5d4a03"
CORRELATION_ID = "5b0e7d3c-9f48-4c12-a6de-7e1d0c9b8a04"
NOVEL_ID = "e9a4c2b6-0d31-4b85-93f7-6c8b5a4d3e05"
TIMESTAMP = "2026-03-14T15:09:26.535897+00:00"

ABSENT: Any = object()
"""As a change: the field is left out."""


def genesis(payload: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a complete envelope with fields changed; a dict for ``payload`` changes the payload's fields."""
    envelope = {
        "event_id": EVENT_ID,
        "event_type": "Genesis.Session.Theme.Proposed",
        "aggregate_id": SESSION_ID,
        "aggregate_type": "GenesisSession",
        "correlation_id": CORRELATION_ID,
        "causation_id": None,
        "created_at": "2026-03-14T15:09:27Z",
        "metadata": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "host": "writer-7"},
        "payload": {
            "user_id": USER_ID,
            "session_id": SESSION_ID,
            "timestamp": TIMESTAMP,
            "novel_id": NOVEL_ID,
            "content": {"title": "Der Turm", "score": 0.5},
            "internal_prompt": "secret",
        },
    }
    if isinstance(payload, dict):
        envelope["payload"] = _changed(envelope["payload"], payload)
    elif payload is not None:
        changes["payload"] = payload
    return _changed(envelope, changes)


def encoded(envelope: Any) -> bytes:
    """Return JSON as a producer may write it."""
    return json.dumps(envelope).encode()


def _changed(fields: Any, changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not ABSENT}
