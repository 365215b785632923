"""A token is taken from the header, a ticket or the cookie; nothing weaker replaces what is malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.credentials import (
    BearerToken,
    CookieToken,
    Credentials,
    Ticket,
    Unusable,
    credentials,
)

HEADER = (b"authorization", b"Bearer a.b.c")
COOKIE = (b"cookie", b"__Host-eventbridge=d.e.f")
TICKET = {"ticket": ["t1"]}


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ([], {}, None),
        ([HEADER], {}, BearerToken("a.b.c")),
        ([(b"authorization", b"bearer  a.b.c ")], {}, BearerToken("a.b.c")),
        ([(b"authorization", b"BEARER ab==")], {}, BearerToken("ab==")),
        ([COOKIE], {}, CookieToken("d.e.f")),
        ([(b"cookie", b"x=1; __Host-eventbridge=d.e.f;y=2")], {}, CookieToken("d.e.f")),
        ([(b"cookie", b"x=1"), COOKIE], {}, CookieToken("d.e.f")),
        ([(b"cookie", b'__Host-eventbridge="d.e.f"')], {}, CookieToken("d.e.f")),
        ([COOKIE, COOKIE], {}, CookieToken("d.e.f")),
        ([], TICKET, Ticket("t1")),
        # What was put there for this request beats what comes by itself.
        ([HEADER, COOKIE], TICKET, BearerToken("a.b.c")),
        ([COOKIE], TICKET, Ticket("t1")),
        # Somebody else's: a proxy's password, a cookie of another name or without its prefix, nothing.
        ([(b"authorization", b"Basic dTpw"), COOKIE], {}, CookieToken("d.e.f")),
        ([(b"authorization", b"Basic dTpw")], {}, None),
        ([(b"cookie", b"eventbridge=d.e.f")], {}, None),
        ([(b"cookie", b"__host-eventbridge=d.e.f")], {}, None),
        ([(b"cookie", b"__Host-eventbridge=")], {}, None),
        ([(b"cookie", b"__Host-eventbridge")], {}, None),
        ([], {"ticket": []}, None),
    ],
)
def test_credentials_are_found(
    headers: list[tuple[bytes, bytes]], query: dict[str, list[str]], expected: Credentials
) -> None:
    assert credentials(headers, query) == expected


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"authorization", b"Bearer"), COOKIE], TICKET),
        ([(b"authorization", b"Bearer "), COOKIE], {}),
        ([(b"authorization", b"Bearer a b"), COOKIE], {}),
        ([(b"authorization", b"Bearer \xff"), COOKIE], {}),
        ([HEADER, HEADER, COOKIE], {}),
        ([COOKIE], {"ticket": ["t1", "t2"]}),
        ([COOKIE], {"ticket": [""]}),
        ([COOKIE], {"ticket": ["t" * 129]}),
        ([COOKIE], {"ticket": ["{a}\r\n"]}),
        ([COOKIE], {"ticket": ["é"]}),
        ([(b"cookie", b"__Host-eventbridge=a; __Host-eventbridge=b")], {}),
        ([(b"cookie", b"__Host-eventbridge=\xff")], {}),
    ],
)
def test_what_is_malformed_is_not_replaced_by_something_weaker(
    headers: list[tuple[bytes, bytes]], query: dict[str, list[str]]
) -> None:
    assert isinstance(credentials(headers, query), Unusable)


@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"cookie"]), st.binary(max_size=60)), max_size=3),
    st.lists(st.text(max_size=20), max_size=2),
)
def test_whatever_is_sent_gives_tokens_in_ascii_or_none(
    headers: list[tuple[bytes, bytes]], tickets: list[str]
) -> None:
    found = credentials(headers, {"ticket": tickets})

    match found:
        case BearerToken(text) | CookieToken(text) | Ticket(text):
            assert text.isascii()
            assert text.isprintable()
            assert " " not in text


@pytest.mark.parametrize("value", [BearerToken("secret"), CookieToken("secret"), Ticket("secret")])
def test_no_secret_shows_where_a_value_is_printed(value: object) -> None:
    assert "secret" not in repr(value)
    assert "secret" not in f"{value}"
