"""Which pages may ask, by their origin: the exact list, and what CORS answers (Fetch standard, 3.3)."""

import re
from collections.abc import Iterable
from typing import Final, Self
from urllib.parse import urlsplit

from .client_address import is_loopback_host
from .errors import EventBridgeError
from .request_parts import Headers, header_values

PREFLIGHT_SECONDS: Final = 600
"""How long a browser may remember a preflight; Chromium's own upper limit is two hours."""

_METHODS: Final = b"GET, POST"
_HEADERS: Final = b"authorization, cache-control, content-type, last-event-id"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\]")


class InvalidOrigin(EventBridgeError, ValueError):
    """A text that no browser sends as `Origin`."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "must be origins exactly as browsers send them, such as https://app.example or "
            f"https://app.example:8443, in lower case and without a path; {text[:80]!a} is none"
        )


class Origins:
    """The origins that may connect with credentials. Compared as bytes: no pattern, no `*`, no `null`."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: frozenset[bytes] = frozenset()) -> None:
        self._allowed = allowed

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Take the setting's list. Raises `InvalidOrigin` for what no browser would send."""
        allowed = set()
        for text in texts:
            if not _is_origin(text):
                raise InvalidOrigin(text)
            allowed.add(text.encode("ascii"))
        return cls(frozenset(allowed))

    def allow(self, origin: bytes) -> bool:
        """Whether this is one of them, byte for byte."""
        return origin in self._allowed

    def cors(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """What every answer carries, also a refusal: a foreign page then cannot read even that.

        `Vary: Origin` is there whoever asks, so that no cache hands one origin's answer to another.
        """
        origin = self._of(headers)
        if origin is None:
            return [(b"vary", b"Origin")]
        return [
            (b"vary", b"Origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
        ]

    def preflight(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """What the answer (204) to `OPTIONS` carries; a foreign page is permitted nothing."""
        if self._of(headers) is None:
            return self.cors(headers)
        return [
            *self.cors(headers),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        ]

    def prove(self, headers: Headers) -> bool:
        """Whether a request that its cookie authenticates comes from a page that may make it.

        A cookie comes along whichever page asks. So either `Origin` is on the list; or there is none, which
        is how browsers ask their own origin by GET, and `Sec-Fetch-Site`, which no page can set, says so.
        """
        origins = header_values(headers, b"origin")
        if origins:
            return self._of(headers) is not None
        return header_values(headers, b"sec-fetch-site") == [b"same-origin"]

    def _of(self, headers: Headers) -> bytes | None:
        origins = header_values(headers, b"origin")
        return origins[0] if len(origins) == 1 and self.allow(origins[0]) else None


def is_secure_url(url: str) -> bool:
    """Whether a URL is https, or http on this machine, and names a host but nobody's credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc or port == 0 or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(parts.hostname))


def _is_origin(text: str) -> bool:
    scheme, _, authority = text.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return False
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return _HOST.fullmatch(authority) is not None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        return False
    return _HOST.fullmatch(host) is not None and int(port) != _DEFAULT_PORTS[scheme]
