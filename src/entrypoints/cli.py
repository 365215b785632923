"""The command line: `eventbridge run`, `check`, `config` … Each one's module is loaded when used."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from ..domain.errors import EventBridgeError

STOPPED_AS_ASKED = 0
FAILED = 1
WRONG_USAGE = 2

_COMMANDS = {
    "run": "run_command",
    "serve": "serve_command",
    "check": "check_command",
    "config": "config_command",
    "produce": "produce_command",
    "tail": "tail_command",
    "health": "health_command",
    "skip": "skip_command",
    "revoke": "revoke_command",
    "demo": "demo_command",
}
"""The module of each command, in which it is called `command`."""


class _Commands(click.Group):
    """Commands whose modules are loaded on demand, so that a probe starts in a fraction of the time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order in which they are met."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f".{_COMMANDS[cmd_name]}", __package__).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a command")
        return command


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="eventbridge", message="%(prog)s %(version)s")
def cli() -> None:
    """Carry domain events from Kafka to the browsers of the users they concern.

    Exit codes: 0 stopped as asked, 1 failed at run time, 2 wrong settings or usage.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code; what goes wrong is told in sentences."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="eventbridge", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return STOPPED_AS_ASKED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED_AS_ASKED
    except EventBridgeError as error:
        for line in str(error).splitlines():
            click.echo(f"eventbridge: {line}", err=True)
        return WRONG_USAGE if getattr(error, "mistakes", None) else FAILED
    return code if isinstance(code, int) else STOPPED_AS_ASKED
