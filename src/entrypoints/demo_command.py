"""`eventbridge demo`: everything on one machine, with nothing to set up."""

import click


@click.command("demo")
@click.option("--seconds", type=click.FloatRange(min=0), help="End by itself so long after the first event.")
@click.option(
    "--users", type=click.IntRange(1, 48), default=4, show_default=True, help="Users with a session each."
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 100, min_open=True),
    default=5.0,
    show_default=True,
    help="Events a second, of all users together.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed plays the same sessions.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Of the page; 0 takes a free one.  [default: 8080, or a free one where that is taken]",
)
def command(seconds: float | None, users: int, rate: float, seed: int, port: int | None) -> int:
    """Play sample sessions through the bridge, on embedded servers, and watch them arrive in a browser.

    The first line tells the page's address. Kafka and Redis are started for it on free ports and are gone
    with it. At a terminal, r stops Redis and starts it again, k kills the bridge, and q ends; in a pipe each
    event is a line. Exit code 1 says that an event was missing or came twice.
    """
    from .demo.errors import ServersNotInstalled  # noqa: PLC0415 - `eventbridge --help` does not wait for it
    from .demo.servers import installed_redis  # noqa: PLC0415

    try:
        installed_redis()
    except ServersNotInstalled as error:
        click.echo(f"eventbridge: {error}", err=True)
        return 2
    from .demo.program import DemoOptions  # noqa: PLC0415 - brings the client libraries
    from .demo.show import show_demo  # noqa: PLC0415

    return show_demo(DemoOptions(seconds=seconds, users=users, rate=rate, seed=seed, port=port))
