"""The demo's own count of what was sent and what arrived."""

from eventbridge.entrypoints.demo.delivery_check import DeliveryCheck


def sent(*events: tuple[str, str]) -> DeliveryCheck:
    check = DeliveryCheck()
    for session, event in events:
        check.send(session, event)
    return check


def test_what_has_not_arrived_is_on_the_way_and_not_missing() -> None:
    check = sent(("one", "a"), ("one", "b"), ("two", "c"))

    check.arrive("one", "a")

    assert (check.sent, check.arrived, check.on_the_way, check.missing) == (3, 1, 2, 0)


def test_an_event_that_a_later_one_of_its_session_overtakes_is_missing() -> None:
    check = sent(("one", "a"), ("one", "b"), ("one", "c"))

    check.arrive("one", "c")

    assert (check.arrived, check.on_the_way, check.missing) == (1, 0, 2)
    assert str(check) == "2 missing, 0 twice"


def test_an_event_that_was_missing_and_comes_after_all_is_out_of_order() -> None:
    check = sent(("one", "a"), ("one", "b"))

    check.arrive("one", "b")
    check.arrive("one", "a")

    assert (check.arrived, check.missing, check.late) == (2, 0, 1)
    assert str(check) == "0 missing, 0 twice, 1 out of order"


def test_an_event_that_comes_again_is_twice_also_when_its_session_is_over() -> None:
    check = sent(("one", "a"), ("two", "b"))

    check.arrive("one", "a")
    check.arrive("one", "a")
    check.arrive("one", "b")

    assert (check.arrived, check.twice) == (1, 2)


def test_sessions_do_not_wait_for_each_other() -> None:
    check = sent(("one", "a"), ("two", "b"))

    check.arrive("two", "b")

    assert (check.missing, check.on_the_way) == (0, 1)


def test_the_first_events_are_settled_when_none_of_them_is_on_the_way() -> None:
    check = sent(("one", "a"), ("two", "b"), ("one", "c"))

    check.arrive("one", "a")
    before = check.settled(2)
    check.arrive("two", "b")

    assert not before
    assert check.settled(2)
    assert not check.settled(3)
