"""`eventbridge skip`: pass over what cannot be read in one partition."""

from typing import TYPE_CHECKING

import click

from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings


@click.command("skip")
@click.option("--topic", required=True, help="The topic.")
@click.option("--partition", "number", required=True, type=click.IntRange(min=0), help="The partition.")
@click.option(
    "--to", "upto", required=True, type=click.IntRange(min=0), metavar="OFFSET", help="The last one to skip."
)
@click.confirmation_option(prompt="What is skipped never reaches its users. Go on?")
@with_settings
def command(loaded: "LoadedSettings", topic: str, number: int, upto: int) -> None:
    """Count a partition's records up to an offset as applied, whether they are or not.

    For a partition that is halted since a batch cannot be read (POISONED). The bridge may run meanwhile;
    it goes on behind the offset when it looks again. If it halts once more, the batch is longer: skip
    further.
    """
    from ..adapters.redis.sse_service import RedisSSEService  # noqa: PLC0415 - brings the client library
    from ..application.skipping import skip  # noqa: PLC0415
    from ..domain.delivery import Partition  # noqa: PLC0415
    from .adapter_settings import redis_settings  # noqa: PLC0415
    from .interruptible import run_interruptible  # noqa: PLC0415

    partition = Partition(topic, number)

    async def carry_out() -> range:
        async with RedisSSEService(redis_settings(loaded.settings), loaded.settings.source) as service:
            return await skip(service, partition, upto)

    passed = run_interruptible(carry_out())
    if passed is not None:
        click.echo(
            f"{partition}: offsets {passed[0]} to {passed[-1]} are passed over, as far as not applied."
        )
