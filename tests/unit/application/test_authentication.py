"""Who a request comes from: header, ticket or cookie; a cookie only with its origin; nobody revoked."""

import pytest

from eventbridge.application.authentication import Authentication
from eventbridge.application.errors import ForbiddenOrigin, KeysUnavailable, Revoked, Unauthorized
from eventbridge.application.gateway_ports import Hear, Identity
from eventbridge.domain.origins import Origins

ANNA = Identity("3f2b8c1e-0000-4000-8000-00000000000a", 2_000_000_000, "token-1")
BERT = Identity("3f2b8c1e-0000-4000-8000-00000000000b", 2_000_000_000, None)

HEADER = (b"authorization", b"Bearer anna")
COOKIE = (b"cookie", b"__Host-eventbridge=bert")
ORIGIN = (b"origin", b"https://app.example")
FOREIGN = (b"origin", b"https://evil.example")


class Known:
    """The `Tokens` port: tokens are names."""

    def identify(self, token: str) -> Identity:
        if token == "new-key":
            raise KeysUnavailable
        try:
            return {"anna": ANNA, "bert": BERT}[token]
        except KeyError:
            raise Unauthorized("it is no JSON Web Token") from None


class OneTime:
    """The `Tickets` port in memory."""

    def __init__(self) -> None:
        self.issued = {"t1": BERT}

    async def issue(self, user_id: str, expires_at: int, token_id: str | None) -> str:
        raise NotImplementedError

    async def redeem(self, ticket: str) -> Identity | None:
        return self.issued.pop(ticket, None)


class RevokedUsers:
    """The `Revocations` port in memory."""

    def __init__(self) -> None:
        self.users: set[str] = set()

    async def is_revoked(self, identity: Identity) -> bool:
        return identity.user_id in self.users

    async def revoke(self, *, user_id: str | None = None, token_id: str | None = None) -> None:
        raise NotImplementedError

    async def announced(self, hear: Hear[str]) -> None:
        raise NotImplementedError


@pytest.fixture
def revocations() -> RevokedUsers:
    return RevokedUsers()


@pytest.fixture
def authentication(revocations: RevokedUsers) -> Authentication:
    return Authentication(Known(), OneTime(), revocations, Origins.parse(["https://app.example"]))


@pytest.mark.parametrize(
    ("headers", "query", "identity"),
    [
        ([HEADER], {}, ANNA),
        ([HEADER, FOREIGN], {}, ANNA),
        ([HEADER, COOKIE, FOREIGN], {}, ANNA),
        ([COOKIE, ORIGIN], {}, BERT),
        ([COOKIE, (b"sec-fetch-site", b"same-origin")], {}, BERT),
        ([FOREIGN], {"ticket": ["t1"]}, BERT),
    ],
)
async def test_a_page_is_who_its_proof_says(
    headers: list[tuple[bytes, bytes]],
    query: dict[str, list[str]],
    identity: Identity,
    authentication: Authentication,
) -> None:
    assert await authentication.identify(headers, query) == identity


@pytest.mark.parametrize(
    ("headers", "query", "error"),
    [
        ([], {}, Unauthorized),
        ([], {"user": [ANNA.user_id]}, Unauthorized),
        ([(b"authorization", b"Bearer carl"), COOKIE, ORIGIN], {}, Unauthorized),
        ([(b"authorization", b"Bearer new-key")], {}, KeysUnavailable),
        ([(b"authorization", b"Bearer a b"), COOKIE, ORIGIN], {}, Unauthorized),
        ([COOKIE, ORIGIN], {"ticket": ["t2"]}, Unauthorized),
        ([COOKIE], {}, ForbiddenOrigin),
        ([COOKIE, FOREIGN], {}, ForbiddenOrigin),
        ([COOKIE, FOREIGN, (b"sec-fetch-site", b"same-origin")], {}, ForbiddenOrigin),
    ],
)
async def test_a_page_without_a_proof_is_nobody(
    headers: list[tuple[bytes, bytes]],
    query: dict[str, list[str]],
    error: type[Exception],
    authentication: Authentication,
) -> None:
    with pytest.raises(error):
        await authentication.identify(headers, query)


async def test_a_ticket_is_good_once(authentication: Authentication) -> None:
    await authentication.identify([], {"ticket": ["t1"]})

    with pytest.raises(Unauthorized):
        await authentication.identify([], {"ticket": ["t1"]})


@pytest.mark.parametrize(("headers", "query"), [([COOKIE, ORIGIN], {}), ([], {"ticket": ["t1"]})])
async def test_who_was_revoked_is_told_to_stop(
    headers: list[tuple[bytes, bytes]],
    query: dict[str, list[str]],
    authentication: Authentication,
    revocations: RevokedUsers,
) -> None:
    revocations.users.add(BERT.user_id)

    with pytest.raises(Revoked):
        await authentication.identify(headers, query)
