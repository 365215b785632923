"""`eventbridge check`: can the bridge do its work here, and with which rights?"""

from typing import TYPE_CHECKING

import click

from ..application.findings import any_error
from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list of findings.")
@with_settings
def command(loaded: "LoadedSettings", as_json: bool) -> int:
    """Look at Kafka and Redis with these settings; joins no group and leaves nothing behind.

    Exits 0 if the bridge can do its work, 1 if something must be mended first.
    """
    from . import check  # noqa: PLC0415 - brings the client libraries
    from .interruptible import run_interruptible  # noqa: PLC0415

    findings = run_interruptible(check.look(loaded.settings))
    if findings is None:
        return 1
    click.echo(check.as_json(findings) if as_json else check.as_text(findings))
    return 1 if any_error(finding for _, finding in findings) else 0
