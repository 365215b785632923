"""The types that settings are made of, beyond those that pydantic brings."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_PORTS = range(1, 65536)


class Group(BaseModel):
    """One group of settings, `[group]` in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _split(value: object) -> object:
    """Take the comma-separated text that the environment and options hold for a list."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _absent_if_empty(value: object) -> object:
    """Take an empty text, from a file or an option, for a setting that is not set."""
    return None if value == "" else value


def _server(address: str) -> str:
    if "@" in address or "/" in address:
        # Not repeated: what stands before the `@` may be a password.
        raise ValueError("must be host:port alone, without scheme, user or path")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) not in _PORTS:
        raise ValueError(f'must be host:port, with a port from 1 to 65535, got "{address}"')
    return address


def _servers(addresses: Sequence[str]) -> Sequence[str]:
    for address in addresses:
        _server(address)
    return addresses


Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A list, comma-separated in the environment."""

SomeTexts = Annotated[Texts, Field(min_length=1)]
"""A list with at least one item."""

Servers = Annotated[SomeTexts, AfterValidator(_servers)]
"""Addresses, each host:port."""

Name = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""

Optional = Annotated[Name | None, BeforeValidator(_absent_if_empty)]
"""A text, or not set."""

OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_absent_if_empty)]
"""A secret, or not set."""

Port = Annotated[int, Field(ge=0, le=65535)]
"""A port to listen on; 0 takes a free one."""

Count = Annotated[int, Field(ge=1)]
"""A whole number, at least 1."""

Limit = Annotated[int, Field(ge=0)]
"""A whole number; 0 is no limit."""

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
"""A time of at most a day."""

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""More than nothing, at most all."""
