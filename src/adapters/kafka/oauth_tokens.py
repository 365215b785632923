"""Bearer tokens for SASL/OAUTHBEARER: from a file, or from a token endpoint."""

import asyncio
import json
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote_plus, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from ...application.errors import SourceMisconfigured
from ...domain.origins import is_secure_url

REFRESH_SHARE = 0.8
"""Of a token's life after which the next connection gets a new one."""


class FileToken(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """The content of a file, read anew for each connection."""

    def __init__(self, path: str) -> None:
        self.last = ""
        """The token that was handed out last."""
        self._path = Path(path)

    # aiokafka's own says that it returns nothing.
    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read it, off the loop. Raises `AuthenticationFailedError`."""
        try:
            found = (await asyncio.to_thread(self._path.read_text, "ascii")).strip()
        except (OSError, ValueError) as error:
            raise AuthenticationFailedError(
                f"the token file cannot be read: {type(error).__name__}"
            ) from None
        if not found:
            raise AuthenticationFailedError("the token file is empty")
        self.last = found
        return found


class _NoRedirects(HTTPRedirectHandler):
    """urllib would take the client's secret along, wherever it is sent."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nowhere: the redirection is the answer."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where to ask for tokens, and as whom (RFC 6749, section 4.4, with HTTP Basic authentication)."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    timeout_seconds: float = 5.0

    def __post_init__(self) -> None:
        if not is_secure_url(self.url):
            raise SourceMisconfigured(
                "insecure_login", "the token URL must begin with https://, and hold no password"
            )

    def ask(self) -> tuple[str, float]:
        """Fetch a token and its life in seconds; blocks. Raises aiokafka's errors, without secrets.

        Redirects are not followed.
        """
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        login = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}".encode()
        request = Request(  # noqa: S310 - the scheme was checked
            self.url,
            data=urlencode(form).encode(),
            headers={"Authorization": f"Basic {b64encode(login).decode()}", "Accept": "application/json"},
        )
        opener = build_opener(_NoRedirects, HTTPSHandler(context=ssl.create_default_context()))
        try:
            with opener.open(request, timeout=self.timeout_seconds) as answer:
                body = json.loads(answer.read(1_048_576))
            return str(body["access_token"]), float(body.get("expires_in", 300))
        except HTTPError as error:
            error.close()
            kind = AuthenticationFailedError if error.code in (400, 401, 403) else KafkaConnectionError
            raise kind(f"the token endpoint answered {error.code}") from None
        except (URLError, HTTPException, OSError) as error:
            raise KafkaConnectionError(
                f"the token endpoint cannot be reached: {type(error).__name__}"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise AuthenticationFailedError("the token endpoint's answer holds no token") from None


class EndpointToken(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Tokens of a token endpoint, each used for most of its life by all connections.

    A thread asks, never the event loop; connections that need a token at the same time share one request.
    """

    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint
        self.last = ""
        """The token that was handed out last."""
        self._lock = asyncio.Lock()
        self._good_until = 0.0

    # aiokafka's own says that it returns nothing.
    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a token that has at least a fifth of its life before it."""
        async with self._lock:
            if time.monotonic() >= self._good_until:
                asked = time.monotonic()
                self.last, life = await asyncio.to_thread(self._endpoint.ask)
                self._good_until = asked + life * REFRESH_SHARE
            return self.last
