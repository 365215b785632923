"""Sample events are what a producer would send, and the same again from the same seed."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import islice

from eventbridge.domain.event_filter import Event, EventFilter, Filtered
from eventbridge.entrypoints.sample_events import SampleEvent, sample_events, sample_users


def noon() -> datetime:
    return datetime(2026, 1, 2, 12, tzinfo=UTC)


def first(count: int, *, users: int = 3, seed: int = 1, sessions: int = 1) -> list[SampleEvent]:
    return list(islice(sample_events(users, seed=seed, sessions=sessions, now=noon), count))


def test_the_same_seed_gives_the_same_events_and_another_one_others() -> None:
    assert first(200) == first(200)
    assert first(200) != first(200, seed=2)


def test_every_event_is_accepted_or_filtered_and_none_is_rejected() -> None:
    event_filter = EventFilter()

    verdicts = [
        event_filter.decide(event.value, correlation_id=dict(event.headers)["correlation_id"])
        for event in first(2000)
    ]

    kinds = Counter(type(verdict) for verdict in verdicts)
    assert set(kinds) == {Event, Filtered}
    assert kinds[Event] > kinds[Filtered] > 200


def test_all_users_get_events_in_sessions_of_their_own() -> None:
    sessions = defaultdict(set)
    for event in first(500, users=4, sessions=2):
        sessions[event.user_id].add(event.key)

    assert set(sessions) == set(sample_users(4, 1))
    assert all(len(keys) >= 2 for keys in sessions.values())
    assert len(set().union(*sessions.values())) == sum(len(keys) for keys in sessions.values())


def test_a_session_tells_a_story_with_a_beginning_and_an_end() -> None:
    by_user: dict[str, dict[bytes, list[str]]] = defaultdict(lambda: defaultdict(list))
    for event in first(5000):
        by_user[event.user_id][event.key].append(event.event_type.removeprefix("Genesis.Session."))
    stories = [story for sessions in by_user.values() for story in list(sessions.values())[:-1]]

    assert all(story[0] == "Started" for story in stories)
    assert {story[-1] for story in stories} == {"Finished", "Failed"}
    assert all(story.count("Started") == 1 for story in stories)


def test_the_key_is_the_session_and_each_event_names_the_one_that_caused_it() -> None:
    causes: dict[bytes, str] = {}
    for event in first(500):
        envelope = json.loads(event.value)

        assert event.key.decode() == envelope["aggregate_id"] == envelope["payload"]["session_id"]
        assert envelope["causation_id"] == causes.get(event.key)
        causes[event.key] = envelope["event_id"]
