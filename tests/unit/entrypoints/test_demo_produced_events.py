"""What the demo remembers of what it has produced."""

from eventbridge.adapters.http.demo_page import SentEvent
from eventbridge.entrypoints.demo.produced_events import KEPT, ProducedEvents


def produced(count: int) -> ProducedEvents:
    events = ProducedEvents()
    for number in range(count):
        events.add(SentEvent(f"event-{number}", "session"))
    return events


def test_what_came_after_a_number_is_told_from_there() -> None:
    before, events = produced(10).after(7, limit=2)

    assert before == 7
    assert [event.event_id for event in events] == ["event-7", "event-8"]


def test_a_page_that_is_up_to_date_is_told_nothing() -> None:
    assert produced(10).after(10, limit=5) == (10, [])


def test_what_is_forgotten_is_passed_over_and_said() -> None:
    events = produced(KEPT + 30)

    before, told = events.after(12, limit=1)

    assert events.total == KEPT + 30
    assert (before, told[0].event_id) == (30, "event-30")
