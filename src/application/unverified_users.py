"""For development: users are whoever they say they are."""

from typing import Final

from ..domain.request_parts import Headers, Query
from ..domain.stream_request import stream_request
from .gateway_ports import Identity

_NEVER: Final = 253_402_300_799
"""The end of the year 9999, seconds since the epoch."""


class UnverifiedUsers:
    """Takes `?user=` for the truth. Only where nobody but this machine can ask (`AUTH=none`)."""

    async def identify(self, headers: Headers, query: Query) -> Identity:
        """Whoever is named. Raises `BadRequest` where nobody is."""
        wanted = stream_request(headers, query, replay_limit=_NEVER, names_user=True)
        return Identity(wanted.user_id or "", _NEVER, None)
