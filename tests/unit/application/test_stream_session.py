"""One page's stream: where it begins, what it gets, and what it is told it may have missed."""

import json
from typing import Any

import pytest

from eventbridge.application.gateway_ports import FeedPage
from eventbridge.application.stream_session import EndReason
from eventbridge.domain.continuity import ResetReason
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.position import StreamId
from eventbridge.domain.routing import Target, shard_of, user

from .hub_under_test import ANN, BEN, LIFE_MS, HubUnderTest, complaints, eventually, numbers, pause, shows

SHARD = shard_of(ANN, 2)


async def test_the_first_bytes_come_before_anything_is_read() -> None:
    async with HubUnderTest().running() as world:
        world.feed.hold()

        page = world.page()
        await eventually(lambda: page.received != b"")

        assert page.received.startswith(b": ok\n\nretry: ")
        world.feed.release()


async def test_a_fresh_page_begins_at_the_end_and_knows_its_position_at_once() -> None:
    async with HubUnderTest().running() as world:
        last = await world.publish(3)

        page = await world.live_page()
        assert (page.position, page.events) == (last, [])
        await world.publish(2)

        await shows(page, numbers(4, 5))


async def test_a_page_without_a_stream_has_a_position_too_and_resumes_from_it() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await page.close()
        await world.publish(2)

        again = world.page(after=page.position)

        await shows(again, numbers(1, 2))


async def test_a_page_resumes_where_it_was_and_goes_on_live() -> None:
    async with HubUnderTest(page_entries=3).running() as world:
        after = await world.publish(1)
        await world.publish(10)

        page = world.page(after=after)
        await eventually(lambda: page.session.live)
        await world.publish(1)

        await shows(page, numbers(2, 12))
        assert world.telemetry.resumes == {"continuous": 1}


async def test_a_page_gets_nothing_of_another_user() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page(ANN)

        await world.publish(5, BEN)
        await world.publish(1, ANN)

        await shows(page, ["6"])


@pytest.mark.parametrize(("last", "expected"), [(2, numbers(9, 10)), (50, numbers(1, 10))])
async def test_a_page_may_begin_some_entries_back(last: int, expected: list[str]) -> None:
    async with HubUnderTest(page_entries=3).running() as world:
        await world.publish(10)

        page = world.page(last=last)

        await eventually(lambda: page.session.live and page.events == expected)


@pytest.mark.parametrize(
    "cursor",
    ["?", "epoch001.0-0", "epoch001.18446744073709551615-18446744073709551615", "epoch001.99999999-0"],
)
async def test_a_cursor_that_was_never_given_out_is_invalid_and_everything_kept_is_sent(cursor: str) -> None:
    async with HubUnderTest(shards=1).running() as world:
        await world.publish(3)

        page = world.page(after=cursor)

        await shows(page, ["reset:invalid", *numbers(1, 3)])
        assert world.telemetry.resumes == {"invalid": 1}


async def test_a_cursor_of_an_unknown_epoch_is_reset() -> None:
    async with HubUnderTest().running() as world:
        position = await world.publish(3)

        page = world.page(after="zzzzzzzz" + position[8:])

        await shows(page, ["reset:epoch", *numbers(1, 3)])


async def test_a_page_that_missed_trimmed_entries_is_told_where_it_goes_on() -> None:
    async with HubUnderTest().running() as world:
        first = await world.publish(1)
        boundary = await world.publish(4)
        await world.publish(3)
        world.feed.trim(user(ANN), 3)

        page = world.page(after=first)
        await shows(page, ["reset:trimmed", *numbers(6, 8)])

        reset = json.loads(page.received.split(b"event: reset\n")[1].split(b"data: ")[1].split(b"\n")[0])
        assert reset == {"reason": "trimmed", "position": boundary}
        assert f"id: {boundary}\n".encode() in page.received


async def test_a_resume_exactly_at_a_trimmed_boundary_is_no_reset() -> None:
    async with HubUnderTest().running() as world:
        boundary = await world.publish(5)
        await world.publish(3)
        world.feed.trim(user(ANN), 3)

        page = world.page(after=boundary)

        await shows(page, numbers(6, 8))


async def test_the_position_of_a_reset_can_be_resumed_from() -> None:
    async with HubUnderTest().running() as world:
        first = await world.publish(1)
        await world.publish(5)
        world.feed.trim(user(ANN), 3)
        page = world.page(after=first, reads=False)
        page.read()
        await shows(page, ["reset:trimmed", *numbers(4, 6)])
        position = page.received.split(b"event: reset\nid: ")[1].split(b"\n")[0].decode()

        again = world.page(after=position)

        await shows(again, numbers(4, 6))


async def test_a_page_that_was_away_for_long_without_a_stream_is_reset() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await page.close()
        world.clock.advance(LIFE_MS / 1000 / 2)

        again = world.page(after=page.position)
        await eventually(lambda: again.session.live)
        await world.publish(1)

        await shows(again, ["reset:expired", "1"])


@pytest.mark.parametrize("page_entries", [3, 100])
async def test_a_replay_over_the_limit_is_a_reset_to_what_the_limit_allows(page_entries: int) -> None:
    async with HubUnderTest(page_entries=page_entries, replay_max_entries=5).running() as world:
        first = await world.publish(1)
        await world.publish(6)

        page = world.page(after=first)

        await shows(page, ["reset:replay_limit", *numbers(3, 7)])


@pytest.mark.parametrize(
    ("start", "told"), [({"last": 5}, []), ({"after": "?"}, ["reset:invalid"])], ids=["last", "reset"]
)
async def test_what_comes_while_a_page_begins_at_the_limit_takes_it_over_none(
    start: dict[str, Any], told: list[str]
) -> None:
    async with HubUnderTest(page_entries=3, replay_max_entries=5).running() as world:
        await world.publish(7)
        world.feed.hold()
        page = world.page(**start)
        # Each read that says where to begin; the last one of them is overtaken.
        for _ in range(1 + len(told)):
            reads = world.feed.reads
            world.feed.release()
            world.feed.hold()
            await eventually(lambda: world.feed.reads > reads)  # noqa: B023 - called before the next turn
            await pause(2)
        await world.publish(1)

        world.feed.release()

        await shows(page, [*told, *numbers(3, 8)])
        assert world.telemetry.resumes.total() == len(told)


@pytest.mark.parametrize("page_entries", [3, 100])
async def test_a_replay_of_just_the_limit_is_none(page_entries: int) -> None:
    async with HubUnderTest(page_entries=page_entries, replay_max_entries=5).running() as world:
        await world.publish(3)
        after = await world.publish(1)
        await world.publish(5)

        page = world.page(after=after)

        await shows(page, numbers(5, 9))


async def test_a_page_may_take_all_events_under_one_name() -> None:
    async with HubUnderTest().running() as world:
        after = await world.publish(1)
        await world.publish(1)

        page = world.page(after=after, named=False)
        await eventually(lambda: page.session.live)
        await world.publish(1)

        await shows(page, numbers(2, 3))
        assert b"event:" not in page.received


async def test_a_name_that_would_forge_lines_is_left_out_and_the_stream_goes_on() -> None:
    """A service that publishes by itself may name its events after anything."""
    async with HubUnderTest().running() as world:
        live = await world.live_page()
        after = await world.publish(1)
        forging = SSEMessage(event="E\nid: 9\ndata: forged", data=b'{"n":"named badly"}')
        await world.sink.publish_event(ANN, forging)
        await world.publish(1)
        late = world.page(after=after)

        await shows(live, ["1", "named badly", "2"])
        await shows(late, ["named badly", "2"])
        assert late.position == live.position


async def test_what_comes_live_while_a_page_catches_up_follows_in_order_and_once() -> None:
    async with HubUnderTest().running() as world:
        after = await world.publish(1)
        await world.publish(2)
        world.feed.hold()
        page = world.page(after=after)
        await eventually(lambda: world.feed.reads == 1)

        await world.publish(3)
        world.feed.release()

        await eventually(lambda: page.session.live)
        await shows(page, numbers(2, 6))
        assert world.feed.reads == 1
        assert page.session.channel._copies is None


async def test_a_live_copy_that_was_lost_while_a_page_catches_up_is_read() -> None:
    async with HubUnderTest().running() as world:
        after = await world.publish(1)
        world.feed.hold()
        page = world.page(after=after)
        await eventually(lambda: world.feed.reads == 1)

        world.feed.lose_next_live()
        await world.publish(2)
        world.feed.release()

        await shows(page, numbers(2, 3))


async def test_a_second_page_of_a_user_joins_where_the_first_is_without_a_read() -> None:
    async with HubUnderTest().running() as world:
        await world.publish(2)
        first = await world.live_page()
        reads = world.feed.reads

        second = world.page()
        resumed = world.page(after=first.position)
        await world.publish(1)

        for page in (first, second, resumed):
            await shows(page, ["3"])
        assert world.feed.reads == reads


async def test_a_page_that_caught_up_further_than_the_live_ones_brings_them_along() -> None:
    async with HubUnderTest().running() as world:
        after = await world.publish(1)
        first = await world.live_page()
        world.feed.lose_next_live(2)
        await world.publish(2)

        second = world.page(after=after)
        third = world.page(last=3)
        await world.publish(1)

        await shows(first, numbers(2, 4))
        await shows(second, numbers(2, 4))
        await shows(third, numbers(1, 4))


async def test_two_pages_of_a_user_without_a_stream_both_go_live() -> None:
    async with HubUnderTest().running() as world:
        first = await world.live_page()
        old = first.position
        await world.turn(31)
        await eventually(lambda: str(first.session.position) != old)
        read = world.feed.read

        async def read_later(target: Target, after: StreamId | None, count: int) -> FeedPage:
            world.clock.advance(0.001)
            return await read(target, after, count)

        world.feed.read = read_later  # type: ignore[method-assign] # each read finds another moment
        second = await world.live_page(after=old)
        await world.publish(1)

        await shows(first, ["1"])
        await shows(second, ["1"])


async def test_a_replay_to_a_page_that_does_not_read_waits_and_stays_small() -> None:
    async with HubUnderTest().running() as world:
        after = await world.publish(1)
        await world.publish(300, size=2_000)

        page = world.page(after=after, reads=False, max_events=64, max_bytes=100_000)
        await eventually(lambda: world.feed.reads == 1)
        page.read()

        await shows(page, numbers(2, 301))


async def test_a_page_whose_stream_begins_before_any_bridge_ran_is_told_when_one_has() -> None:
    async with HubUnderTest().running(written=False) as world:
        page = await world.live_page()
        assert page.position.startswith("00000000.")

        await world.publish(1)

        await shows(page, ["reset:epoch", "1"])


async def test_an_age_is_recorded_once_the_bytes_were_taken() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(2)

        await shows(page, numbers(1, 2))
        await eventually(lambda: len(world.telemetry.ages) == 2)


async def test_a_stream_that_is_closed_with_a_time_to_come_back_sends_what_it_has_first() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(1)
        await eventually(lambda: page.session.position is not None and page.events == ["1"])

        page.session.close("drain", retry_ms=1234)

        await eventually(lambda: page.ended)
        assert page.received.endswith(b"retry: 1234\n\n")
        assert world.telemetry.ends == {"drain": 1}


async def test_a_mistake_ends_the_stream_with_a_name_and_is_logged() -> None:
    async with HubUnderTest().running() as world:
        with complaints() as told:
            after = await world.publish(1)

            async def broken(*_: object) -> None:
                raise ValueError("a damaged entry")

            world.feed.read = broken  # type: ignore[method-assign, assignment] # a fault of the store's data
            page = world.page(after=after)
            await eventually(lambda: page.ended)

        assert world.telemetry.ends == {EndReason.FAILED: 1}
        assert str(told[0]["exception"]) == "a damaged entry"


async def test_a_rollback_with_a_new_epoch_resets_a_page_whose_last_event_is_gone() -> None:
    async with HubUnderTest().running() as world:
        await world.publish(1)
        before = world.sink.snapshot(SHARD)
        page = await world.live_page()
        await world.publish(1)
        await shows(page, ["2"])

        world.sink.restore(SHARD, before)
        world.clock.advance(1)
        await world.notice(SHARD)

        await shows(page, ["2", f"reset:{ResetReason.EPOCH}", "1"])
        await world.publish(1)
        await eventually(lambda: page.events[-1] == "3")


async def test_a_rollback_with_a_new_epoch_leaves_a_page_alone_whose_last_event_is_still_there() -> None:
    async with HubUnderTest().running() as world:
        await world.publish(1)
        page = await world.live_page()
        world.clock.advance(1)

        await world.notice(SHARD)
        last = await world.publish(1)

        await eventually(lambda: page.position == last)
        assert page.events == ["2"]
        assert world.telemetry.resumes == {}
