"""`eventbridge health`: is the bridge on this machine ready? For probes that can only run a program.

It starts in a fraction of the time of the other commands, so it finds the address without the settings'
model: in its options, the environment and the file, in this order.
"""

import os
import sys
import tomllib
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from json import loads
from pathlib import Path
from typing import NoReturn

import click

from .setting_names import CONFIG_VARIABLE, METRICS_HOST, METRICS_PORT, variable_of

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask a server that listens everywhere


@click.command("health")
@click.option("--config", type=click.Path(path_type=Path), help="The TOML file (or EVENTBRIDGE_CONFIG).")
@click.option("--host", help="Address of /health, if not the one in the settings.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port, if not the one in the settings.")
@click.option("--live", is_flag=True, help="Ask whether the process lives, not whether it is ready.")
@click.option("--timeout", default=3.0, show_default=True, help="Seconds to wait for an answer.")
def command(config: Path | None, host: str | None, port: int | None, live: bool, timeout: float) -> int:
    """Ask the bridge whether it is ready; exit 0 if it is, else 1 with the reasons."""
    address = _from_settings(config)
    host = host or address[0]
    port = port or address[1]
    path = "/health/live" if live else "/health/ready"
    connection = HTTPConnection(_ANYWHERE.get(host, host), port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(1_048_576)
    except (OSError, HTTPException) as error:
        click.echo(f"no answer from {host}:{port}: {error}", err=True)
        return 1
    finally:
        connection.close()
    if answer.status == 200:
        click.echo("live" if live else "ready")
        return 0
    for reason in _reasons(body) or [f"{path} answered {answer.status}"]:
        click.echo(reason, err=True)
    return 1


def _reasons(body: bytes) -> list[str]:
    try:
        answer = loads(body)
    except ValueError:
        return []
    reasons = answer.get("reasons", []) if isinstance(answer, dict) else []
    return [str(reason) for reason in reasons] if isinstance(reasons, list) else []


def _from_settings(config: Path | None) -> tuple[str, int]:
    written = _from_file(config or Path(os.environ.get(CONFIG_VARIABLE) or os.devnull))
    host = _variable("telemetry.metrics_host") or written.get("metrics_host") or METRICS_HOST
    port = _variable("telemetry.metrics_port") or written.get("metrics_port") or METRICS_PORT
    try:
        return str(host), int(str(port))
    except ValueError:
        _refuse(f"{variable_of('telemetry.metrics_port')}: must be a whole number")


def _variable(key: str) -> str | None:
    wanted = variable_of(key)
    return next((value for name, value in os.environ.items() if name.upper() == wanted and value), None)


def _from_file(path: Path) -> Mapping[str, object]:
    try:
        group = tomllib.loads(path.read_text("utf-8")).get("telemetry", {})
    except (OSError, ValueError) as error:
        _refuse(f"{path}: cannot be read: {error}")
    return group if isinstance(group, dict) else {}


def _refuse(sentence: str) -> NoReturn:
    click.echo(f"eventbridge: {sentence}", err=True)
    sys.exit(2)
