"""Many pages over one subscription per shard: live copies are hints, the stream is the truth."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from eventbridge.adapters.memory.feed import live_copy
from eventbridge.application import channel
from eventbridge.application.gateway_ports import FeedPage, LiveCopies
from eventbridge.application.live_hub import TURN_SECONDS
from eventbridge.domain.routing import Target, TargetError, shard_of, user
from eventbridge.domain.stream_cursor import StreamCursor

from .hub_under_test import ANN, BEN, LIFE_MS, HubUnderTest, Page, eventually, numbers, pause, shows

SHARD = shard_of(ANN, 2)


def copies(world: HubUnderTest, user_id: str = ANN) -> list[LiveCopies]:
    """Live copies of all that is in a user's stream."""
    target = user(user_id)
    epoch = world.epoch(shard_of(target.id, 2)) or ""
    return [LiveCopies(epoch, [live_copy(target, entry)]) for entry in world.sink.stream(target)]


def away(world: HubUnderTest, user_id: str) -> bool:
    """Whether the hub has found out that it cannot reach the user's shard."""
    return world.hub._shards[shard_of(user_id, 2)].failing_since is not None


def checked_since(page: Page, checked: StreamCursor | None) -> bool:
    """Whether the page's stream has been checked since."""
    return page.session.channel.cursor is not checked


async def test_a_live_copy_that_was_lost_is_read_when_the_next_one_shows_the_hole() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(1)
        world.feed.lose_next_live(2)

        await world.publish(3)

        await shows(page, numbers(1, 4))
        assert world.telemetry.resumes == {}


async def test_a_live_copy_that_was_lost_is_read_at_the_latest_by_the_timer() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        world.feed.lose_next_live()
        await world.publish(1)

        await world.turn(30)

        await shows(page, ["1"])


@pytest.mark.parametrize("events", [0, 2])
async def test_streams_that_end_where_their_pages_are_are_checked_without_being_read(events: int) -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(events)
        await shows(page, numbers(1, events))
        reads, checked = world.feed.reads, page.session.channel.cursor

        await world.turn(30)
        await eventually(lambda: checked_since(page, checked))

        assert world.feed.reads == reads
        assert page.events == numbers(1, events)


async def test_an_event_that_comes_while_its_stream_is_checked_comes_once() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        world.feed.hold()
        await world.turn(30)
        await pause(5)

        await world.publish()
        await shows(page, ["1"])
        world.feed.release()
        await pause(50)
        await world.publish()

        await shows(page, ["1", "2"])


async def test_a_live_copy_that_was_lost_is_read_after_the_subscription_was_confirmed_again() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        world.feed.lose_next_live()
        await world.publish(1)

        world.feed.resubscribe()

        await shows(page, ["1"])


async def test_live_copies_that_are_doubled_late_or_out_of_order_change_nothing() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(1)
        world.feed.lose_next_live(4)
        await world.publish(4)
        first, second, third, fourth, fifth = copies(world)

        world.feed.say(third, second, first, second, fifth, fourth, third, fifth)
        await shows(page, numbers(1, 5))
        await world.publish(1)

        await shows(page, numbers(1, 6))


async def test_a_live_copy_of_another_epoch_is_not_taken_at_its_word() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(1)
        await shows(page, ["1"])
        (copy,) = copies(world)[0].copies
        foreign = copy._replace(id=f"{copy.id}7", prev=copy.id, data='{"n": 0}')

        world.feed.say(LiveCopies("zzzzzzzz", [foreign]))
        await world.publish(1)

        await shows(page, numbers(1, 2))


async def test_an_epoch_that_changes_is_proved_anew_and_named_from_then_on() -> None:
    async with HubUnderTest().running() as world:
        await world.publish(1)
        page = await world.live_page()
        world.clock.advance(1)

        await world.notice(SHARD)
        await eventually(lambda: str(page.session.position).startswith(f"{world.epoch(SHARD)}."))
        await world.turn(15)

        await eventually(lambda: page.position == str(page.session.position))
        assert page.events == []


async def test_what_a_read_finds_of_another_epoch_does_not_follow_what_came_live_of_the_old_one() -> None:
    async with HubUnderTest().running() as world:
        await world.publish(1)
        page = await world.live_page(last=1)
        before = world.sink.snapshot(SHARD)
        world.feed.lose_next_live()
        await world.publish(1)
        late = copies(world)[1]
        world.clock.advance(0.001)
        world.sink.restore(SHARD, before)
        world.feed.hold()
        reads = world.feed.reads
        await world.notice(SHARD)
        world.feed.lose_next_live()
        await world.publish(1)
        await eventually(lambda: world.feed.reads > reads)

        world.feed.say(late)
        await shows(page, ["1", "2"])
        world.feed.release()

        await shows(page, ["1", "2", "reset:epoch", "1", "3"])


async def test_a_page_that_comes_after_a_change_of_epoch_that_nobody_told_joins_none_of_before() -> None:
    async with HubUnderTest().running() as world:
        earlier = await world.live_page()
        state = world.sink.snapshot(SHARD)
        world.clock.advance(0.001)
        changed = msgspec.structs.replace(state, epoch="untold00", since=world.clock.now_ms())
        world.sink.restore(SHARD, changed)

        later = await world.live_page(last=1)
        await world.turn(31)

        await shows(earlier, ["reset:epoch"])
        assert later.position.startswith("untold00.")
        assert later.events == []


async def test_a_page_that_catches_up_takes_what_comes_live_meanwhile_without_reading_again() -> None:
    async with HubUnderTest().running() as world:
        live = await world.live_page()
        first = await world.publish(1)
        await world.publish(1)
        await shows(live, numbers(1, 2))
        reads = world.feed.reads
        world.feed.hold()
        late = world.page(after=first)
        await eventually(lambda: world.feed.reads == reads + 1)

        await world.publish(1)
        await shows(live, numbers(1, 3))
        world.feed.release()

        await shows(late, numbers(2, 3))
        assert late.session.live
        assert world.feed.reads == reads + 1


async def test_a_page_that_read_while_more_live_copies_came_than_are_kept_reads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "MAX_COPIES", 4)
    async with HubUnderTest().running() as world:
        after = await world.publish(1)
        first = copies(world)[0]
        await world.publish(1)
        world.feed.hold()
        page = world.page(after=after)
        await eventually(lambda: world.feed.reads == 1)
        await world.publish(4)

        world.feed.say(first)  # which alone is kept then, and leaves no hole
        await pause(5)
        world.feed.release()

        await shows(page, numbers(2, 6))


async def test_more_than_a_read_holds_is_replayed_to_each_page_by_itself() -> None:
    async with HubUnderTest(page_entries=3).running() as world:
        pages = [await world.live_page() for _ in range(3)]
        world.feed.lose_next_live(10)

        await world.publish(11)

        for page in pages:
            await shows(page, numbers(1, 11))


async def test_pages_whose_missing_entries_are_gone_are_each_told() -> None:
    async with HubUnderTest().running() as world:
        pages = [await world.live_page() for _ in range(3)]
        await world.publish(1)
        for page in pages:
            await shows(page, ["1"])
        world.feed.lose_next_live(4)
        await world.publish(4)
        world.feed.trim(user(ANN), 2)

        world.feed.resubscribe()

        for page in pages:
            await shows(page, ["1", "reset:trimmed", *numbers(4, 5)])


async def test_a_stream_that_expires_while_it_is_watched_is_no_reset() -> None:
    async with HubUnderTest(heartbeat_seconds=15).running() as world:
        page = await world.live_page()
        await world.publish(1)
        await shows(page, ["1"])
        for _ in range(4):
            checked = page.session.channel.cursor
            await world.turn(30)
            await eventually(partial(checked_since, page, checked))
        world.feed.expire(user(ANN))

        await world.turn(30)
        await world.publish(1)

        await shows(page, numbers(1, 2))


async def test_shards_are_checked_at_moments_of_their_own_between_the_two_that_are_set() -> None:
    async with HubUnderTest(shards=64, resync_seconds=(15, 30)).running(written=False) as world:
        now = world.clock.monotonic()
        for number in range(400):
            world.page(f"00000000-0000-0000-0000-{number:012}")
        due = [shard.check_at - now for shard in world.hub._shards if shard.channels]

        assert len(due) > 50
        assert all(15 <= each <= 30 for each in due)
        assert max(due) - min(due) > 10


async def test_a_stream_that_came_and_went_under_a_shorter_life_while_nobody_listened_is_told() -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        world.feed.go_down()
        world.feed.life_ms = LIFE_MS // 10
        await world.publish(1)
        world.feed.expire(user(ANN))
        world.clock.advance(LIFE_MS / 10_000 + 1)

        world.feed.come_back()
        await world.publish(1)

        await shows(page, ["reset:expired", "2"])


async def test_every_page_gets_heartbeats_with_its_position_spread_over_the_interval() -> None:
    async with HubUnderTest(heartbeat_seconds=15).running() as world:
        await world.publish(1)
        pages = [await world.live_page(f"00000000-0000-0000-0000-{n:012}") for n in range(20)]
        beats = []

        for _ in range(round(15 / TURN_SECONDS)):
            await world.turn(TURN_SECONDS)
            await pause(3)
            beats.append(sum(page.received.count(b": hb\n\nid: ") for page in pages))

        assert beats[-1] == 20
        assert len(set(beats)) > 5


async def test_an_event_is_encoded_once_for_all_pages_that_take_it_alike() -> None:
    taken: list[bytes] = []

    class Taking:
        def write(self, chunk: bytes, timestamps: object = ()) -> bool:
            if timestamps:
                taken.append(chunk)
            return True

        async def drained(self) -> None:
            return

        def close(self, *, flush: bool) -> None:
            return

    async with HubUnderTest().running() as world:
        await world.live_page()
        sessions = [world.hub.open(user(ANN), Taking(), named=n % 3 > 0) for n in range(9)]

        await world.publish(1)
        await eventually(lambda: len(taken) == 9)

        assert len({id(chunk) for chunk in taken}) == 2
        for session in sessions:
            session.close("gone")


async def test_a_page_that_stops_reading_is_closed_and_misses_nothing_when_it_comes_back() -> None:
    async with HubUnderTest().running() as world:
        quick = await world.live_page()
        slow = await world.live_page(max_events=3)
        slow.freeze()
        await world.publish(6)

        await eventually(lambda: slow.session.ended is not None)
        again = world.page(after=slow.position)

        assert slow.session.ended == "slow"
        await shows(quick, numbers(1, 6))
        await eventually(lambda: slow.events + again.events == numbers(1, 6))


async def test_a_page_over_its_bytes_is_closed() -> None:
    async with HubUnderTest().running() as world:
        stuck = world.page(reads=False, max_bytes=10_000)
        await eventually(lambda: stuck.session.live)

        await world.publish(4, size=5_000)

        await eventually(lambda: stuck.session.ended == "slow")
        assert world.telemetry.ends == {"slow": 1}


async def test_a_page_that_gets_events_gets_a_heartbeat_only_once_it_was_quiet_for_the_interval() -> None:
    async with HubUnderTest(heartbeat_seconds=15).running() as world:
        page = await world.live_page()

        for number in range(1, 6):
            await world.publish(1)
            await shows(page, numbers(1, number))
            await world.turn(12)
        await pause(5)
        assert b": hb" not in page.received
        await world.turn(3)
        await pause(5)

        assert page.received.count(b": hb") == 1


async def test_events_do_not_wait_for_the_heartbeats_of_pages_that_went_quiet_together() -> None:
    async with HubUnderTest(heartbeat_seconds=15).running() as world:
        users = [f"00000000-0000-0000-0000-{n:012}" for n in range(200)]
        pages = [await world.live_page(user_id) for user_id in users]
        for user_id in users:
            await world.publish(1, user_id)
        await eventually(lambda: all(page.events for page in pages))
        for page in pages:
            page.received = b""
        beats = [0]

        async def watch_until(done: Callable[[], bool]) -> None:
            async with asyncio.timeout(10):
                while not done():
                    await asyncio.sleep(0)
                    beats.append(sum(page.received.count(b": hb") for page in pages))

        for _ in range(round(15 / TURN_SECONDS)):
            world.clock.advance(TURN_SECONDS)
            turn = asyncio.create_task(world.hub.tick())
            await watch_until(turn.done)
        await watch_until(lambda: beats[-1] >= 200)

        assert all(page.received.count(b": hb") == 1 for page in pages)
        # Ten, and ten where the hub's own turn comes in between.
        assert max(after - before for before, after in pairwise(beats)) <= 20


async def test_events_for_others_are_no_sign_of_life_to_a_page_that_catches_up() -> None:
    async with HubUnderTest(heartbeat_seconds=15).running() as world:
        after = await world.publish(1)
        await world.publish(1)
        live = await world.live_page()
        world.feed.hold()
        late = world.page(after=after)

        for number in (3, 4):
            await world.publish(1)
            await shows(live, numbers(3, number))
            await world.turn(10)
        await pause(5)

        assert b": hb" in late.received
        world.feed.release()
        await shows(late, numbers(2, 4))


@pytest.mark.parametrize(
    "damage",
    [
        {"id": "no id"},
        {"id": "1-1\ndata: x"},
        {"id": "99999999999999999999-1"},
        {"timestamp": "soon"},
        {"id": 7},
        {"prev": 7},
        {"event": 7},
        {"data": 7},
    ],
)
async def test_a_live_copy_that_cannot_be_read_costs_a_read_and_no_event(damage: dict[str, Any]) -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        await world.publish(1)
        await shows(page, ["1"])
        world.feed.lose_next_live()
        await world.publish(1)
        (_, [copy]) = (found.copies for found in copies(world))

        world.feed.say(LiveCopies(world.epoch(SHARD) or "", [copy._replace(**damage)]))

        await shows(page, numbers(1, 2))
        await world.publish(1)
        await shows(page, numbers(1, 3))
        assert world.telemetry.resumes == {}


@pytest.mark.parametrize("damage", [{"event": 7}, {"data": 7}, {"traceparent": 7}])
async def test_the_first_event_of_a_stream_is_no_less_read_where_its_live_copy_is_damaged(
    damage: dict[str, Any],
) -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        world.feed.lose_next_live()
        await world.publish(1)
        [[copy]] = (found.copies for found in copies(world))

        world.feed.say(LiveCopies(world.epoch(SHARD) or "", [copy._replace(**damage)]))

        await shows(page, ["1"])
        await world.publish(1)
        await shows(page, numbers(1, 2))


async def test_while_the_store_is_away_pages_get_heartbeats_then_stale_and_fresh_once_they_have_all() -> None:
    async with HubUnderTest(heartbeat_seconds=5, stale_after_seconds=10).running() as world:
        pages = [await world.live_page(ANN), await world.live_page(BEN)]
        world.feed.go_down()
        await eventually(lambda: away(world, ANN) and away(world, BEN))
        await world.publish(2, ANN)

        await world.turn(9)
        await pause(20)
        assert [page.events for page in pages] == [[], []]
        await world.turn(2)
        await eventually(lambda: [page.events for page in pages] == [["stale"], ["stale"]])
        beats = pages[0].received.count(b": hb\n\n")
        await world.turn(5)
        await eventually(lambda: pages[0].received.count(b": hb\n\n") > beats)
        world.feed.come_back()

        await shows(pages[0], ["stale", *numbers(1, 2), "fresh"])
        await shows(pages[1], ["stale", "fresh"])
        assert world.hub.stale_shards == []


async def test_a_probe_that_fails_in_an_unforeseen_way_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with HubUnderTest().running() as world:
        page = await world.live_page()
        world.feed.go_down()
        await eventually(lambda: away(world, ANN))
        await world.publish(1)
        read_last, failed = world.feed.read_last, asyncio.Event()

        async def fail_once(target: Target, count: int) -> FeedPage:
            if failed.is_set():
                return await read_last(target, count)
            failed.set()
            raise RuntimeError("nobody thought of this")

        monkeypatch.setattr(world.feed, "read_last", fail_once)
        await eventually(failed.is_set)
        world.feed.come_back()

        await shows(page, ["1"])
    assert [each.message for each in caplog.records if each.exc_info] == ["a probe failed, another follows"]


async def test_a_page_that_connects_while_the_store_is_away_waits_and_is_told() -> None:
    async with HubUnderTest(stale_after_seconds=10).running() as world:
        after = await world.publish(1)
        world.feed.go_down()
        early = world.page(after=after)
        await eventually(lambda: away(world, ANN))
        await world.turn(11)
        await shows(early, ["stale"])

        late = world.page(after=after)
        await shows(late, ["stale"])
        world.feed.come_back()
        await world.publish(1)

        await eventually(lambda: early.events == late.events)
        await eventually(lambda: sorted(early.events[1:]) == ["2", "fresh"])


async def test_a_short_outage_is_not_told() -> None:
    async with HubUnderTest(stale_after_seconds=10).running() as world:
        page = await world.live_page()
        world.feed.go_down()
        await eventually(lambda: away(world, ANN))
        await world.publish(1)

        await world.turn(9)
        world.feed.come_back()

        await shows(page, ["1"])


async def test_a_shard_is_watched_once_while_anybody_is_interested() -> None:
    async with HubUnderTest().running() as world:
        pages = [await world.live_page() for _ in range(3)]
        await eventually(lambda: world.feed.watched[SHARD] == 1)

        for page in pages[:2]:
            await page.close()
        await pause(20)
        assert world.feed.watched[SHARD] == 1
        await pages[2].close()

        await eventually(lambda: world.feed.watched[SHARD] == 0)


async def test_a_page_that_leaves_and_comes_at_once_leaves_the_shard_watched() -> None:
    async with HubUnderTest().running() as world:
        page = world.page()
        await page.close()
        again = world.page()
        await world.live_page()
        await world.publish(1)

        await shows(again, ["1"])
        assert world.feed.watched[SHARD] == 1


@pytest.mark.parametrize("turns", range(30))
async def test_a_page_that_leaves_at_any_moment_leaves_nothing_behind(turns: int) -> None:
    async with HubUnderTest(page_entries=2).running() as world:
        after = await world.publish(1)
        await world.publish(7)
        tasks = asyncio.all_tasks()

        page = world.page(after=after, max_events=4)
        await pause(turns)
        await page.close()

        await eventually(lambda: world.feed.watched[SHARD] == 0 and asyncio.all_tasks() == tasks)
        assert (world.hub.sessions(), world.telemetry.open) == ([], 0)
        assert world.hub._channels == {}
        assert not any(world.hub._beats._slots)
        assert world.hub._catching_up._value == world.hub.settings.catch_ups_at_once


async def test_a_page_that_leaves_while_the_store_is_away_leaves_nothing_behind() -> None:
    async with HubUnderTest().running() as world:
        await pause(5)
        tasks = asyncio.all_tasks()
        world.feed.go_down()
        page = world.page(last=3)
        await eventually(lambda: away(world, ANN))

        await page.close()

        await eventually(lambda: asyncio.all_tasks() == tasks)
        assert world.hub.sessions() == []


async def test_only_so_many_pages_catch_up_at_once() -> None:
    async with HubUnderTest(catch_ups_at_once=3).running() as world:
        await world.publish(2)
        world.feed.hold()

        pages = [world.page(last=2) for _ in range(10)]
        await pause(50)
        assert world.feed.reads == 3
        world.feed.release()

        for page in pages:
            await shows(page, numbers(1, 2))


async def test_the_open_streams_can_be_listed_by_user() -> None:
    async with HubUnderTest().running() as world:
        ann, ben = await world.live_page(ANN), await world.live_page(BEN)

        assert set(world.hub.sessions()) == {ann.session, ben.session}
        assert world.hub.sessions_of(user(BEN)) == [ben.session]
        assert world.hub.sessions_of(user("nobody")) == []


async def test_a_target_that_cannot_be_named_opens_nothing() -> None:
    async with HubUnderTest().running() as world:
        with pytest.raises(TargetError):
            world.hub.open(user("\ud800"), Page.__new__(Page))  # type: ignore[arg-type] # never used

        assert world.telemetry.open == 0


async def test_the_position_of_a_page_that_would_begin_now() -> None:
    async with HubUnderTest().running() as world:
        last = await world.publish(3)

        assert str(await world.hub.position(user(ANN))) == last
