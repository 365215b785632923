"""`eventbridge produce`: sample events, or envelopes of one's own, into the topic."""

import secrets
from typing import TYPE_CHECKING, BinaryIO

import click

from .setting_options import with_settings

if TYPE_CHECKING:
    from .settings_loading import LoadedSettings

_SAMPLE_RATE = 5.0


@click.command("produce")
@click.option("--file", type=click.File("rb"), help="Envelopes, one JSON object a line; - is standard input.")
@click.option("--users", type=click.IntRange(min=1), default=3, show_default=True, help="Sample users.")
@click.option(
    "--sessions", type=click.IntRange(min=1), default=1, show_default=True, help="Open sessions of each."
)
@click.option("--seed", type=int, help="The same seed gives the same events; not given: others each time.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    help="Events per second; 0, and with --file by default: as fast as it goes.",
)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many events.")
@click.option("--topic", help="Where to, if not the first topic in the settings.")
@with_settings
def command(
    loaded: "LoadedSettings",
    *,
    file: BinaryIO | None,
    users: int,
    sessions: int,
    seed: int | None,
    rate: float | None,
    count: int | None,
    topic: str | None,
) -> int:
    """Send sample events of writing sessions, 5 a second until stopped; or the lines of a file, all at once.

    A record's key is its session's id. Lines that are no envelopes are named and left out, and the exit
    code is 1 then.
    """
    from ..adapters.kafka.client_manager import KafkaClientManager  # noqa: PLC0415 - for this command alone
    from ..adapters.kafka.record_sender import KafkaRecordSender  # noqa: PLC0415
    from . import produce  # noqa: PLC0415
    from .adapter_settings import kafka_settings  # noqa: PLC0415
    from .interruptible import run_interruptible  # noqa: PLC0415
    from .sample_events import sample_users  # noqa: PLC0415

    progress = produce.Progress(topic or loaded.settings.kafka.topics[0])
    if seed is None:
        seed = secrets.randbits(32)
    if file is None:
        rate = _SAMPLE_RATE if rate is None else rate
        produce.announce(sample_users(users, seed))

    async def send() -> None:
        records = (
            produce.samples(users, sessions, seed) if file is None else produce.envelopes(file, progress)
        )
        clients = KafkaClientManager(kafka_settings(loaded.settings))
        sender = KafkaRecordSender(clients, progress.topic)
        await produce.produce(sender, records, progress, rate=rate or 0.0, count=count)

    run_interruptible(send())
    return 1 if progress.refused else 0
