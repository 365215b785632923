"""The options by which every command takes settings."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings

P = ParamSpec("P")
R = TypeVar("R")

_SHORTHANDS = {
    "--bootstrap-servers": ("kafka.bootstrap_servers", "HOST:PORT,…"),
    "--topics": ("kafka.topics", "NAME,…"),
    "--group-id": ("kafka.group_id", "NAME"),
    "--redis-url": ("redis.url", "URL"),
    "--metrics-port": ("telemetry.metrics_port", "PORT"),
    "--log-level": ("telemetry.log_level", "LEVEL"),
    "--log-format": ("telemetry.log_format", "FORMAT"),
}
"""Options of their own for the settings that are given by hand most often."""


def with_settings(command: Callable[Concatenate["LoadedSettings", P], R]) -> Callable[P, R]:
    """Give a command the options for settings, and the settings in force as its first argument."""

    @wraps(command)
    def loading(*arguments: P.args, **options: P.kwargs) -> R:
        from .settings_loading import load_settings  # noqa: PLC0415 - the model takes long to import

        config, secrets_dir, assignments = (options.pop(name) for name in ("config", "secrets_dir", "set_"))
        given = {option: options.pop(option.strip("-").replace("-", "_")) for option in _SHORTHANDS}
        loaded = load_settings(
            _written({o: v for o, v in given.items() if isinstance(v, str)}, _assignments(assignments)),
            config=config if isinstance(config, Path) else None,
            secrets_dir=secrets_dir if isinstance(secrets_dir, Path) else None,
        )
        return command(loaded, *arguments, **options)

    wrapped: Callable[P, R] = loading
    for option, (key, metavar) in reversed(_SHORTHANDS.items()):
        wrapped = click.option(option, metavar=metavar, help=f"Short for --set {key}=…")(wrapped)
    wrapped = click.option(
        "--set", "set_", metavar="KEY=VALUE", multiple=True, help="Any setting, such as kafka.topics=a,b."
    )(wrapped)
    wrapped = click.option(
        "--secrets-dir",
        type=click.Path(path_type=Path),
        help="Directory of secrets: redis/url or redis.url, …",
    )(wrapped)
    return click.option(
        "--config", type=click.Path(path_type=Path), help="TOML file of settings (or EVENTBRIDGE_CONFIG)."
    )(wrapped)


def _assignments(assignments: object) -> Sequence[str]:
    return [str(assignment) for assignment in assignments] if isinstance(assignments, tuple) else []


def _written(shorthands: dict[str, str], assignments: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By key: the value, and the option as it was written. `--set` has the last word."""
    written = {_SHORTHANDS[option][0]: (value, option) for option, value in shorthands.items()}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes KEY=VALUE, such as kafka.topics=a,b, not {assignment!r}")
        key = key.strip().lower().replace("-", "_")
        written[key] = (value, f"--set {key}")
    return written
