"""Operators are told that the store is away, and since when."""

import asyncio
import contextlib

from eventbridge.adapters.memory import ManualClock
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable
from eventbridge.application.health import Check
from eventbridge.application.store_watch import StoreWatch


async def test_the_check_follows_what_the_store_answers() -> None:
    clock = ManualClock()
    answers: list[Exception | None] = [None, SinkUnavailable("connection"), SinkMisconfigured("rights"), None]
    checks: list[Check] = []

    async def ask() -> None:
        checks.append(watch.check())
        clock.advance(3)
        if not answers:
            raise asyncio.CancelledError
        if (error := answers.pop(0)) is not None:
            raise error

    watch = StoreWatch(ask, clock, ask_seconds=0)
    with contextlib.suppress(asyncio.CancelledError):
        await watch.run()

    assert [check.ok for check in checks] == [True, True, False, False, True]
    assert checks[2].detail.startswith("away for 0 s, pages wait: ")
    assert checks[3].detail.startswith("away for 3 s, pages wait: ")
    assert str(SinkMisconfigured("rights")) in checks[3].detail
