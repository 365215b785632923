import logging

import pytest

from eventbridge.application.cause_log import MAX_CAUSES, CauseLog


class HandClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return 0


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def told(self) -> list[tuple[object, ...]]:
        names = ("cause", "occurrences")
        return [(line.getMessage(), *(getattr(line, name, None) for name in names)) for line in self.records]

    def field(self, name: str) -> list[object]:
        return [getattr(line, name, None) for line in self.records]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def causes(clock: HandClock, lines: Lines) -> CauseLog:
    logger = logging.Logger("bridge", logging.INFO)
    logger.addHandler(lines)
    return CauseLog(logger, clock, every_seconds=10)


def test_the_first_occurrence_of_each_cause_is_logged_at_once(causes: CauseLog, lines: Lines) -> None:
    causes.say("timeout", logging.WARNING, "no answer", shard=1)
    causes.say("connection", logging.ERROR, "refused")

    assert lines.told() == [("no answer", "timeout", None), ("refused", "connection", None)]
    assert lines.field("shard") == [1, None]
    assert [line.levelno for line in lines.records] == [logging.WARNING, logging.ERROR]


def test_a_flood_makes_one_line_per_period_with_the_count_since(
    causes: CauseLog, lines: Lines, clock: HandClock
) -> None:
    for second in range(21):
        clock.seconds = 100 + second
        for _ in range(1000):
            causes.say("timeout", logging.WARNING, "no answer", second=second)

    assert lines.told() == [
        ("no answer", "timeout", None),
        ("no answer", "timeout", 10_000),
        ("no answer", "timeout", 10_000),
    ]
    assert lines.field("second") == [0, 10, 20]


def test_a_cause_that_kept_silent_for_a_period_begins_anew(
    causes: CauseLog, lines: Lines, clock: HandClock
) -> None:
    causes.say("timeout", logging.WARNING, "no answer")
    clock.seconds += 10
    causes.say("timeout", logging.WARNING, "no answer again")

    assert lines.told() == [("no answer", "timeout", None), ("no answer again", "timeout", None)]


def test_flush_tells_what_was_counted_only_when_the_period_is_over(
    causes: CauseLog, lines: Lines, clock: HandClock
) -> None:
    for _ in range(3):
        causes.say("timeout", logging.WARNING, "no answer")

    clock.seconds += 9
    causes.flush()
    early = len(lines.records)
    clock.seconds += 1
    causes.flush()
    causes.flush()

    assert early == 1
    assert lines.told()[1:] == [("no answer", "timeout", 2)]


def test_close_tells_the_rest_once(causes: CauseLog, lines: Lines) -> None:
    for _ in range(3):
        causes.say("timeout", logging.WARNING, "no answer")

    causes.close()
    causes.close()

    assert lines.told() == [("no answer", "timeout", None), ("no answer", "timeout", 2)]


def test_more_causes_than_fit_are_told_as_one(causes: CauseLog, lines: Lines) -> None:
    for number in range(MAX_CAUSES + 1000):
        causes.say(f"cause {number}", logging.WARNING, "broken")

    causes.close()

    assert len(lines.records) == MAX_CAUSES + 2
    assert lines.told()[-1] == ("broken", "other", 999)


def test_causes_that_became_quiet_make_room(causes: CauseLog, lines: Lines, clock: HandClock) -> None:
    for number in range(MAX_CAUSES):
        causes.say(f"cause {number}", logging.WARNING, "broken")
    clock.seconds += 10

    causes.say("new", logging.WARNING, "broken differently")

    assert lines.told()[-1] == ("broken differently", "new", None)


def test_a_level_that_is_not_logged_is_not_counted_either(causes: CauseLog, lines: Lines) -> None:
    causes.say("detail", logging.DEBUG, "unseen")
    causes.say("detail", logging.WARNING, "seen")

    assert lines.told() == [("seen", "detail", None)]
