"""`eventbridge revoke`: a user or a token may not read any more."""

import math
from typing import TYPE_CHECKING

import click

from ..domain.identifiers import canonical_uuid
from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings

_DAYS = 30.0
"""Longer than tokens of pages live."""


@click.command("revoke")
@click.option("--user", "user_id", metavar="ID", help="Whoever this is, with whatever token.")
@click.option("--token", "token_id", metavar="JTI", help="The one token whose claim jti is this.")
@click.option(
    "--days",
    type=click.FloatRange(min=1 / 86_400, max=36_500),
    default=_DAYS,
    show_default=True,
    help="How long: until the last of the tokens concerned has expired.",
)
@with_settings
def command(loaded: "LoadedSettings", user_id: str | None, token_id: str | None, days: float) -> None:
    """Take a user or a token the right to read, at once and in every gateway."""
    from . import revoke  # noqa: PLC0415 - brings the client library
    from .interruptible import run_interruptible  # noqa: PLC0415

    if user_id is None and token_id is None:
        raise click.UsageError("say who: --user ID, --token JTI, or both")
    if user_id is not None and (user_id := canonical_uuid(user_id)) is None:
        raise click.UsageError("--user must be the user's id, a UUID, as in a token's sub")
    if token_id == "":
        raise click.UsageError("a token's jti must not be empty")
    if math.isnan(days):
        raise click.UsageError("say how many days")
    said = run_interruptible(revoke.revoke(loaded.settings, user_id=user_id, token_id=token_id, days=days))
    for sentence in said or ():
        click.echo(sentence)
