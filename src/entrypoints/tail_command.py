"""`eventbridge tail`: a user's stream, followed as it grows."""

from typing import TYPE_CHECKING

import click

from ..domain.errors import EventBridgeError
from ..domain.routing import user as target_of
from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings


@click.command("tail")
@click.option("--user", "user_id", required=True, metavar="ID", help="Whose stream.")
@click.option("--from", "begin", metavar="POSITION", help="A position, or start; not given: the end.")
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON object a line.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many messages.")
@with_settings
def command(
    loaded: "LoadedSettings", user_id: str, begin: str | None, as_json: bool, count: int | None
) -> None:
    """Show the messages of a user's stream, and wait for more until stopped."""
    from . import tail  # noqa: PLC0415 - brings the client library
    from .interruptible import run_interruptible  # noqa: PLC0415

    try:
        target = target_of(user_id)
        beginning = tail.beginning(begin)
    except EventBridgeError as error:
        raise click.UsageError(str(error)) from error
    line = tail.json_line if as_json else tail.columns()
    run_interruptible(
        tail.follow(
            loaded.settings,
            target,
            beginning,
            count,
            lambda position, entry: click.echo(line(position, entry)),
        )
    )
