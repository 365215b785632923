"""`eventbridge serve`: the SSE gateway."""

from typing import TYPE_CHECKING

import click

from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings


@click.command("serve")
@click.option(
    "--demo",
    is_flag=True,
    help="Serve the demo's page at /, too; only with gateway.auth=none, on this machine.",
)
@with_settings
def command(loaded: "LoadedSettings", demo: bool) -> int:
    """Serve each user's stream over Server-Sent Events until SIGTERM or SIGINT.

    Redis is waited for where it is absent. At a stop the streams are ended over gateway.drain_seconds, so
    that pages do not come back all at once. A second signal stops at once, with exit code 1.
    """
    from .gateway_settings import check_gateway  # noqa: PLC0415 - brings the client libraries
    from .serve import serve_streams  # noqa: PLC0415

    check_gateway(loaded)
    if demo and loaded.settings.gateway.auth != "none":
        raise click.UsageError(
            "--demo wants gateway.auth=none: the page says by itself whose stream it reads"
        )
    return serve_streams(loaded.settings, demo=demo)
