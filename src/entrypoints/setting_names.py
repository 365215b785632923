"""How settings are named in each place they come from; light, since the health probe needs it too."""

from collections.abc import Iterable
from difflib import get_close_matches

PREFIX = "EVENTBRIDGE__"
"""Begins the name of every setting in the environment."""

CONFIG_VARIABLE = "EVENTBRIDGE_CONFIG"
"""Names the TOML file where `--config` does not."""

SECRETS_VARIABLE = "EVENTBRIDGE_SECRETS_DIR"
"""Names the directory of secrets where `--secrets-dir` does not."""

METRICS_HOST = "127.0.0.1"
"""Where metrics and health are served, unless set otherwise."""

METRICS_PORT = 9464
"""The port of metrics and health, unless set otherwise (the port registered for Prometheus exporters)."""


def variable_of(key: str) -> str:
    """The environment variable of a setting: `kafka.topics` is `EVENTBRIDGE__KAFKA__TOPICS`."""
    return PREFIX + key.replace(".", "__").upper()


def key_of(variable: str) -> str:
    """The setting that a variable with our prefix names, whether it exists or not."""
    return variable[len(PREFIX) :].lower().replace("__", ".", 1)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most probably meant, None where none is near."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.7)
    return matches[0] if matches else None
