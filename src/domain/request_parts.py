"""The parts of an HTTP request that decisions are made from: its headers and its query."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from .problem import BadRequest

Headers = Sequence[tuple[bytes, bytes]]
"""Name (lower case) and value of each header line, in order, as ASGI hands them over."""

Query = Mapping[str, Sequence[str]]
"""The values of each query parameter, in order."""

MAX_QUERY_FIELDS: Final = 32
"""More than any page of ours sends; what is above is not worth reading."""


def header_values(headers: Headers, name: bytes) -> list[bytes]:
    """All values of the header `name` (lower case), without the white space around them."""
    return [value.strip(b" \t") for key, value in headers if key == name]


def parse_query(raw: bytes) -> Query:
    """Read a query string. Raises `BadRequest` where it has too many fields or is no UTF-8."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except UnicodeDecodeError:
        raise BadRequest("The query must be percent-encoded UTF-8.") from None
    except ValueError:
        raise BadRequest(f"The query must have at most {MAX_QUERY_FIELDS} parameters.") from None
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    return query


def one_value(query: Query, name: str) -> str | None:
    """The value of a parameter, None where it is absent. Raises `BadRequest` where it is repeated."""
    values = query.get(name, ())
    if len(values) > 1:
        raise BadRequest(f"The parameter `{name}` must be given once.", name)
    return values[0] if values else None
