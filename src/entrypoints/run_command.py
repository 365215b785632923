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
    help="Seconds from SIGTERM or SIGINT to the end, at most; the gateway's drain comes on top.",
)
@click.option(
    "--with-gateway",
    is_flag=True,
    help="Serve the streams, too, as `eventbridge serve` does: for small set-ups.",
)
@with_settings
def command(loaded: "LoadedSettings", stop_timeout: float, with_gateway: bool) -> int:
    """Carry events from Kafka to the users' streams in Redis until SIGTERM or SIGINT.

    Servers that are absent are waited for. A second signal stops at once, with exit code 1.
    """
    from .run import run_bridge, run_bridge_and_gateway  # noqa: PLC0415 - brings the client libraries

    if not with_gateway:
        return run_bridge(loaded.settings, stop_timeout)
    from .gateway_settings import check_gateway  # noqa: PLC0415

    check_gateway(loaded)
    return run_bridge_and_gateway(loaded.settings, stop_timeout)
