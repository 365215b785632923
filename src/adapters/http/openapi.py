"""The gateway's HTTP surface as an OpenAPI 3.1 document, written by hand; `/openapi.json` serves it."""

import importlib.metadata
from typing import Any, Final

from ...domain.credentials import COOKIE
from ...domain.problem import PROBLEM_MEDIA_TYPE

JsonObject = dict[str, Any]

_POSITION: Final[JsonObject] = {
    "type": "string",
    "pattern": "^[0-9a-z]{8}\\.(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})$",
    "description": "A point in the user's stream, as in the SSE `id`.",
    "examples": ["k3v9x2mq.1795450000000-0"],
}

_USER: Final[JsonObject] = {
    "name": "user",
    "in": "query",
    "description": "Whose stream; only where the gateway runs without authentication, for development.",
    "schema": {"type": "string", "format": "uuid"},
}


def _problem(description: str) -> JsonObject:
    return {
        "description": description,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _json(description: str, properties: JsonObject) -> JsonObject:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_TOO_LARGE: Final[JsonObject] = {"431": _problem("Request line and headers are too large.")}

_REFUSALS: Final[JsonObject] = {
    "204": {"description": "The token or its user was revoked; an `EventSource` stops."},
    "400": _problem("A parameter is wrong."),
    "401": _problem("There is no valid token."),
    "403": _problem("A cookie authenticates the request, and its `Origin` is not on the list."),
    **_TOO_LARGE,
}

_STREAM: Final[JsonObject] = {
    "operationId": "events",
    "summary": "The user's events, as Server-Sent Events, with resume.",
    "description": (
        "Where the last page left off (`Last-Event-ID`, which `EventSource` sends by itself, or "
        "`last_event_id`), some entries back (`last`), or from now on. Where nothing can be proved to be "
        "missing but something may be, `event: reset` says so, with `reason` and `position`. While Redis is "
        "away, `event: stale`, and at its end `event: fresh`. Where a limit is reached the answer is 200 "
        "with `retry:` and the end, since an `EventSource` gives up on any other status."
    ),
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The last position that the page has; beats the parameters.",
            "schema": _POSITION,
        },
        {
            "name": "last_event_id",
            "in": "query",
            "description": "The same for a first connect, of a page that was rendered with a position.",
            "schema": _POSITION,
        },
        {
            "name": "last",
            "in": "query",
            "description": "Begin so many entries back; not together with `last_event_id`.",
            "schema": {"type": "integer", "minimum": 0},
        },
        {
            "name": "event",
            "in": "query",
            "description": "`message` leaves the `event:` line out, so that `onmessage` gets every event.",
            "schema": {"type": "string", "enum": ["message"]},
        },
        {
            "name": "ticket",
            "in": "query",
            "description": "From `POST /ticket`; good once.",
            "schema": {"type": "string"},
        },
        _USER,
    ],
    "responses": {
        "200": {
            "description": "The stream, until either side ends it.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **_REFUSALS,
    },
}

_UNAVAILABLE: Final = _problem("Redis, or the key that verifies tokens, is away; `Retry-After` says when.")


def openapi_document() -> JsonObject:
    """The document, fit for JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "EventBridge gateway",
            "version": importlib.metadata.version("eventbridge"),
            "summary": "Each user's domain events over Server-Sent Events, with resume.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": {
            "/events": {"get": {**_STREAM, "security": [{"bearer": []}, {"cookie": []}, {"ticket": []}]}},
            "/position": {
                "get": {
                    "operationId": "position",
                    "summary": "Where the user's stream ends now, for a page that is being rendered.",
                    "parameters": [_USER],
                    "responses": {
                        "200": _json("The position.", {"position": _POSITION}),
                        **_REFUSALS,
                        "503": _UNAVAILABLE,
                    },
                }
            },
            "/ticket": {
                "post": {
                    "operationId": "ticket",
                    "summary": "A one-time ticket, for an `EventSource` without header and cookie.",
                    "parameters": [_USER],
                    "responses": {
                        "200": _json(
                            "The ticket, good for `expires_in` seconds, and where the stream ends now.",
                            {
                                "ticket": {"type": "string"},
                                "expires_in": {"type": "integer"},
                                "position": _POSITION,
                            },
                        ),
                        **_REFUSALS,
                        "503": _UNAVAILABLE,
                    },
                }
            },
            "/health/live": {"get": _health("live", "Whether the event loop turns; without, no answer.")},
            "/health/ready": {"get": _health("ready", "Whether new pages are to be sent here.", "503")},
            "/openapi.json": {
                "get": {
                    "operationId": "openapi",
                    "summary": "This document.",
                    "security": [],
                    "responses": {
                        "200": {
                            "description": "The document.",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        },
                        **_TOO_LARGE,
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457.",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"const": "about:blank"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "parameter": {"type": "string", "description": "The parameter that is wrong."},
                    },
                }
            },
        },
    }


def _health(name: str, summary: str, *otherwise: str) -> JsonObject:
    body = {name: {"type": "boolean"}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            "200": _json("Yes.", body),
            **{status: _json("No.", body) for status in otherwise},
            **_TOO_LARGE,
        },
    }
