"""Origins are compared byte for byte, and every answer varies by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.origins import InvalidOrigin, Origins, is_secure_url

ORIGINS = Origins.parse(["https://app.example", "http://localhost:3000"])
ALLOWED = [
    (b"vary", b"Origin"),
    (b"access-control-allow-origin", b"https://app.example"),
    (b"access-control-allow-credentials", b"true"),
]
FOREIGN = [
    b"https://evil.example",
    b"https://app.example.evil.example",
    b"https://xapp.example",
    b"http://app.example",
    b"https://app.example:443",
    b"https://APP.example",
    b"https://app.example/",
    b"null",
    b"*",
    b"",
    b"https://app.example, https://app.example",
]


def test_a_page_of_the_list_may_read_the_answer() -> None:
    assert ORIGINS.cors([(b"origin", b"https://app.example")]) == ALLOWED


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_may_not_and_caches_know_it(origin: bytes) -> None:
    assert ORIGINS.cors([(b"origin", origin)]) == [(b"vary", b"Origin")]
    assert ORIGINS.preflight([(b"origin", origin)]) == [(b"vary", b"Origin")]


def test_an_answer_varies_by_origin_also_where_none_was_sent() -> None:
    assert ORIGINS.cors([]) == [(b"vary", b"Origin")]


def test_two_origins_are_none() -> None:
    twice = [(b"origin", b"https://app.example"), (b"origin", b"https://evil.example")]

    assert ORIGINS.cors(twice) == [(b"vary", b"Origin")]
    assert not ORIGINS.prove([*twice, (b"sec-fetch-site", b"same-origin")])


def test_a_preflight_permits_what_pages_need() -> None:
    answer = ORIGINS.preflight([(b"origin", b"https://app.example")])

    assert answer == [
        *ALLOWED,
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"authorization, cache-control, content-type, last-event-id"),
        (b"access-control-max-age", b"600"),
    ]


@pytest.mark.parametrize(
    ("headers", "proved"),
    [
        ([(b"origin", b"https://app.example")], True),
        ([(b"origin", b"https://app.example"), (b"sec-fetch-site", b"cross-site")], True),
        ([(b"sec-fetch-site", b"same-origin")], True),
        ([], False),
        ([(b"sec-fetch-site", b"same-site")], False),
        ([(b"sec-fetch-site", b"cross-site")], False),
        ([(b"sec-fetch-site", b"none")], False),
        ([(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")], False),
        ([(b"origin", b"https://evil.example"), (b"sec-fetch-site", b"same-origin")], False),
        ([(b"origin", b"null"), (b"sec-fetch-site", b"same-origin")], False),
    ],
)
def test_a_cookie_counts_from_pages_that_may_ask(headers: list[tuple[bytes, bytes]], proved: bool) -> None:
    assert ORIGINS.prove(headers) is proved


@given(st.binary(max_size=60))
def test_no_other_bytes_are_an_origin_of_the_list(origin: bytes) -> None:
    allowed = origin.strip(b" \t") in (b"https://app.example", b"http://localhost:3000")

    assert ORIGINS.prove([(b"origin", origin)]) is allowed


@pytest.mark.parametrize(
    "text", ["https://a.example", "http://a", "https://a.example:8443", "http://[::1]:3000", "http://[::1]"]
)
def test_what_browsers_send_is_an_origin(text: str) -> None:
    assert Origins.parse([text]).allow(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "",
        "a.example",
        "https://",
        "https://*.example",
        "https://A.example",
        "https://a.example/",
        "https://a.example:443",
        "http://a.example:80",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:",
        "https://user@a.example",
        "https://ä.example",
        "ftp://a.example",
        "https://a.example\n",
    ],
)
def test_what_browsers_never_send_is_refused(text: str) -> None:
    with pytest.raises(InvalidOrigin):
        Origins.parse([text])


@pytest.mark.parametrize(
    "url",
    ["https://id.example/jwks", "https://id.example:8443/a?b=c", "http://127.0.0.1:8/", "http://[::1]/"],
)
def test_https_and_this_machine_are_secure(url: str) -> None:
    assert is_secure_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/jwks",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@id.example/",
        "https://id.example:port/",
        "https://id.example:0/",
        "https://[::1/",
        "https://id.example/ x\r\nHost: y",
        "id.example",
        "",
    ],
)
def test_nothing_else_is(url: str) -> None:
    assert not is_secure_url(url)
