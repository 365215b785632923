"""Operators are told which shards are away, and since when."""

import asyncio
import contextlib
from collections.abc import Sequence

from eventbridge.adapters.memory import ManualClock
from eventbridge.application.health import Check
from eventbridge.application.store_watch import StoreWatch, Unreachable


async def test_the_check_follows_what_the_store_answers() -> None:
    everything = range(8)
    answers: list[Sequence[Unreachable]] = [
        [],
        [Unreachable([3], "no answer")],
        [Unreachable([7, 2, 3, 4], "refused"), Unreachable([0], "no answer")],
        [Unreachable(everything, "no answer")],
        [],
    ]

    checks = await checked(answers, shards=8)

    assert [check.ok for check in checks] == [True, True, False, False, False, True]
    assert [check.detail for check in checks[2:5]] == [
        "shards 3 of 8 away for 0 s, their pages wait: no answer",
        "shards 2-4, 7 of 8 away for 3 s, their pages wait: refused; "
        "shards 0 of 8 away for 0 s, their pages wait: no answer",
        "away for 6 s, pages wait: no answer",
    ]


async def test_a_shard_that_was_back_in_between_is_away_anew() -> None:
    away = [Unreachable([3], "no answer")]

    checks = await checked([away, away, [], away], shards=8)

    assert checks[2].detail.startswith("shards 3 of 8 away for 3 s")
    assert checks[4].detail.startswith("shards 3 of 8 away for 0 s")


async def checked(answers: Sequence[Sequence[Unreachable]], shards: int) -> list[Check]:
    """The check before each answer, and after the last; they come 3 s after each other."""
    clock, checks, coming = ManualClock(), list[Check](), iter(answers)

    async def ask() -> Sequence[Unreachable]:
        checks.append(watch.check())
        clock.advance(3)
        try:
            return next(coming)
        except StopIteration:
            raise asyncio.CancelledError from None

    watch = StoreWatch(ask, clock, shards, ask_seconds=0)
    with contextlib.suppress(asyncio.CancelledError):
        await watch.run()
    return checks
