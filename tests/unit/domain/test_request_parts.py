"""Queries and headers are read strictly, and whatever comes in is a value or a `BadRequest`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.problem import BadRequest
from eventbridge.domain.request_parts import header_values, one_value, parse_query


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", {}),
        (b"last=5", {"last": ["5"]}),
        (b"last=", {"last": [""]}),
        (b"last", {"last": [""]}),
        (b"a=1&a=2&b=%C3%A4+x", {"a": ["1", "2"], "b": ["ä x"]}),
        (b"a=1;b=2", {"a": ["1;b=2"]}),
        (b"a=%zz", {"a": ["%zz"]}),
    ],
)
def test_a_query_is_read(raw: bytes, query: dict[str, list[str]]) -> None:
    assert parse_query(raw) == query


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=\xc3\xa4", b"&".join([b"a=1"] * 33)])
def test_a_query_that_is_no_text_or_has_no_end_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_query(raw)


def test_a_repeated_parameter_is_refused_by_name() -> None:
    with pytest.raises(BadRequest) as refused:
        one_value({"last": ["1", "2"]}, "last")

    assert refused.value.problem.parameter == "last"


@given(st.binary(max_size=300))
def test_any_query_is_read_or_refused(raw: bytes) -> None:
    try:
        query = parse_query(raw)
    except BadRequest:
        return

    assert all(values for values in query.values())


def test_a_header_is_found_by_its_whole_name() -> None:
    headers = [(b"origin", b" https://a "), (b"x-origin", b"x"), (b"origin", b"https://b")]

    assert header_values(headers, b"origin") == [b"https://a", b"https://b"]
