"""`eventbridge run`: the bridge daemon."""

from typing import TYPE_CHECKING

import click

from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings


@click.command("run")
@click.option(
    "--stop-timeout",
    type=click.FloatRange(min=4),
    default=20.0,
    show_default=True,
    help="Seconds from SIGTERM or SIGINT to the end of the process, at most.",
)
@with_settings
def command(loaded: "LoadedSettings", stop_timeout: float) -> int:
    """Carry events from Kafka to the users' streams in Redis until SIGTERM or SIGINT.

    Servers that are absent are waited for. A second signal stops at once, with exit code 1.
    """
    from .run import run_bridge  # noqa: PLC0415 - brings the client libraries

    return run_bridge(loaded.settings, stop_timeout)
