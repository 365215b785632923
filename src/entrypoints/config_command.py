"""`eventbridge config`: which settings are in force, and where each is from."""

from typing import TYPE_CHECKING

import click

from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="For programs: value and origin by key.")
@click.option("--reference", is_flag=True, help="All settings, defaults and meanings instead, as Markdown.")
@with_settings
def command(loaded: "LoadedSettings", as_json: bool, reference: bool) -> None:
    """Print the settings in force, each with its origin; secrets are masked."""
    from . import settings_text  # noqa: PLC0415 - the model takes long to import

    if reference:
        click.echo(settings_text.reference(), nl=False)
    elif as_json:
        click.echo(settings_text.as_json(loaded))
    else:
        click.echo(settings_text.as_toml(loaded), nl=False)
