"""Where the key of a token comes from: one that was given, or a set that is fetched and kept fresh."""

import asyncio
import logging
from collections.abc import Collection
from typing import Final, Protocol
from urllib.parse import urlsplit

from ...application.cause_log import CauseLog
from ...application.errors import KeysUnavailable, Unauthorized
from ...application.ports import Clock
from .bounded_fetch import FetchFailed, fetch
from .keys import KeySet, UnusableKey, VerifyingKey, keys_of

REFRESH_SECONDS: Final = 300.0
"""How long a key that the issuer withdrew may still count."""

PAUSE_SECONDS: Final = 10.0
"""The issuer is not asked more often than this, whatever tokens arrive."""

FETCH_TIMEOUT_SECONDS: Final = 5.0
MAX_SET_BYTES: Final = 262_144
MAX_UNKNOWN: Final = 256
"""Unknown `kid`s that are remembered; above it all are asked for again."""

NO_SUCH_KEY: Final = "its key is unknown"


class KeyRing(Protocol):
    """Finds the key of a token among those at hand."""

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        """The key. Raises `Unauthorized` where there is none, `KeysUnavailable` where there may be yet."""


class GivenKey:
    """The one key of the settings; `kid` says nothing then."""

    def __init__(self, key: VerifyingKey) -> None:
        self._key = key

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        """The key, whatever its name, if the algorithm is its own. Raises `Unauthorized`."""
        if algorithm != self._key.algorithm:
            raise Unauthorized("its algorithm is not accepted")
        return self._key


class FetchedKeys:
    """A JSON Web Key Set, fetched in the background by `run`. For one event loop.

    While the issuer is away the last good set counts. A `kid` that is not in the set has it fetched again,
    but not within `pause_seconds` of the last attempt; until a set that was asked for later is there, nobody
    knows whether the token is good, and `find` says so.
    """

    def __init__(
        self,
        url: str,
        algorithms: Collection[str],
        clock: Clock,
        causes: CauseLog,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        fetch_timeout_seconds: float = FETCH_TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._server = urlsplit(url).netloc
        self._algorithms = frozenset(algorithms)
        self._clock = clock
        self._causes = causes
        self._refresh_seconds = refresh_seconds
        self._pause_seconds = pause_seconds
        self._fetch_timeout_seconds = fetch_timeout_seconds
        self._keys: KeySet = {}
        self._asked_at = float("-inf")
        self._unknown: dict[str | None, float] = {}
        self._wanted = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether there is a set to verify tokens with."""
        return bool(self._keys)

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        """The key, from what was fetched. Raises `Unauthorized`, `KeysUnavailable`."""
        if algorithm not in self._algorithms:
            raise Unauthorized("its algorithm is not accepted")
        fitting = [key for key in self._named(kid) if key.algorithm == algorithm]
        if len(fitting) == 1:
            return fitting[0]
        if fitting or (kid is not None and kid in self._keys):
            raise Unauthorized("it does not say which key" if fitting else "its algorithm is not its key's")
        if self._was_asked_for(kid):
            raise Unauthorized(NO_SUCH_KEY)
        raise KeysUnavailable

    async def run(self) -> None:
        """Fetch now, from time to time, and when a key is missed, until cancelled."""
        while True:
            good = await self.refresh()
            await asyncio.sleep(self._pause_seconds)
            if good:
                await self._until_due(self._refresh_seconds - self._pause_seconds)

    async def refresh(self) -> bool:
        """Fetch once; whether there was a good set. Otherwise the one at hand stays, and the log says why."""
        began = self._clock.monotonic()
        self._wanted.clear()
        try:
            body = await fetch(
                self._url, timeout_seconds=self._fetch_timeout_seconds, max_bytes=MAX_SET_BYTES
            )
            self._keys = keys_of(body, self._algorithms)
        except (FetchFailed, UnusableKey) as error:
            said = f"the keys that tokens are verified with cannot be fetched from {self._server}: {error}"
            self._causes.say("jwks", logging.WARNING, said)
            return False
        self._asked_at = began
        return True

    async def _until_due(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            pass

    def _named(self, kid: str | None) -> list[VerifyingKey]:
        if kid is not None:
            return list(self._keys.get(kid, ()))
        return [key for keys in self._keys.values() for key in keys]

    def _was_asked_for(self, kid: str | None) -> bool:
        """Whether the set was fetched since the key was first missed; has it fetched where it was not."""
        now = self._clock.monotonic()
        missed_at = self._unknown.get(kid)
        if (
            missed_at is not None
            and missed_at < self._asked_at
            and now < self._asked_at + self._pause_seconds
        ):
            return True
        if missed_at is None or missed_at < self._asked_at:
            if len(self._unknown) >= MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[kid] = now
        self._wanted.set()
        return False
