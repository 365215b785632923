import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from eventbridge.adapters.telemetry.log_lines import MAX_TEMPLATES, RepeatedLibraryMessages
from eventbridge.domain.delivery import Partition
from eventbridge.entrypoints.telemetry import configure_logging

SECRET = "hunter2-planted"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _as_before(logging_as_before: None) -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


log = logging.getLogger("eventbridge.application.publisher")


def test_a_record_becomes_one_json_line_with_its_fields(out: io.StringIO) -> None:
    configure_logging(stream=out)

    log.warning(
        "event rejected",
        extra={
            "event_type": "Genesis.Session.Started",
            "event_id": "e-1",
            "session_id": "s-1",
            "correlation_id": None,
            "topic": "genesis",
            "partition": 3,
            "offset": 42,
            "circuit_state": "closed",
        },
    )

    (line,) = lines(out)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "eventbridge.application.publisher",
        "message": "event rejected",
        "event_type": "Genesis.Session.Started",
        "event_id": "e-1",
        "session_id": "s-1",
        "correlation_id": None,
        "topic": "genesis",
        "partition": 3,
        "offset": 42,
        "circuit_state": "closed",
    }


def test_what_is_bound_to_the_context_stands_in_each_line(out: io.StringIO) -> None:
    configure_logging(stream=out)
    structlog.contextvars.bind_contextvars(topic="genesis")

    log.info("one")

    assert lines(out)[0]["topic"] == "genesis"


def test_arguments_are_put_into_the_message(out: io.StringIO) -> None:
    configure_logging(stream=out)

    log.info("waiting for %s, attempt %d", "redis", 3)

    assert lines(out)[0]["message"] == "waiting for redis, attempt 3"


def test_libraries_speak_from_warning_on_through_the_same_pipe(out: io.StringIO) -> None:
    configure_logging("DEBUG", stream=out)

    logging.getLogger("aiokafka.conn").info("connected")
    logging.getLogger("aiokafka.conn").warning("node 1 is gone")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old habits", stacklevel=1)
    log.debug("detail")

    assert [line["logger"] for line in lines(out)] == ["aiokafka.conn", "py.warnings", log.name]


def test_a_higher_level_silences_libraries_too(out: io.StringIO) -> None:
    configure_logging("error", stream=out)

    logging.getLogger("aiokafka.conn").warning("node 1 is gone")
    log.warning("event rejected")

    assert lines(out) == []


def test_an_unknown_level_is_refused(out: io.StringIO) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("loud", stream=out)


def test_setting_up_twice_does_not_double_the_lines(out: io.StringIO) -> None:
    former = io.StringIO()
    configure_logging(stream=former)
    configure_logging(stream=out)

    log.info("one")

    assert lines(former) == []
    assert len(lines(out)) == 1


def test_a_terminal_gets_readable_lines_and_a_file_does_not() -> None:
    terminal, forced = Terminal(), Terminal()

    configure_logging(stream=terminal)
    log.info("stopped", extra={"offset": 42})
    configure_logging(log_format="json", stream=forced)
    log.info("stopped", extra={"offset": 42})

    assert "\x1b[" in terminal.getvalue()
    assert "stopped" in terminal.getvalue()
    assert json.loads(forced.getvalue())["offset"] == 42


def test_console_lines_in_a_file_are_without_colours(out: io.StringIO) -> None:
    configure_logging(log_format="console", stream=out)

    log.info("stopped", extra={"offset": 42})

    assert "\x1b" not in out.getvalue()
    assert "stopped" in out.getvalue()
    assert "offset=42" in out.getvalue()


def raise_with(text: str) -> None:
    raise ConnectionError(text)


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "text",
    [
        f"cannot reach redis://:{SECRET}@redis:6379/0",
        f"cannot reach redis://bridge:{SECRET}/with@signs@redis:6379/0",
        f"cannot reach redis+sentinel://user:{SECRET}@a:1,b:2/main/0",
        f"sasl_plain_password={SECRET}",
        f"{{'password': '{SECRET}', 'user': 'bridge'}}",
        f'{{"api_key": "{SECRET}"}}',
        f"GET /events?ticket={SECRET}&user=u-1",
        f"EVENTBRIDGE__GATEWAY__JWT_KEY={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        "-----BEGIN PRIVATE KEY-----\nhunter2+planted\n-----END PRIVATE KEY-----",
    ],
)
def test_secrets_of_a_known_shape_reach_no_line(out: io.StringIO, text: str, log_format: str) -> None:
    configure_logging(log_format=log_format, stream=out)  # type: ignore[arg-type] # parametrized from texts

    log.warning(text)
    log.warning("failed: %s", text, extra={"detail": text, "more": [{"deep": text}]})
    try:
        raise_with(text)
    except ConnectionError:
        log.exception("failed")

    written = out.getvalue()
    assert written.count("failed") >= 2
    assert "hunter2" not in written
    assert "***" in written


def test_known_secrets_are_found_wherever_they_stand(out: io.StringIO) -> None:
    configure_logging(secrets=["s3cr3t/ with:all", "", "x"], stream=out)

    log.warning("said s3cr3t/ with:all and s3cr3t%2F%20with%3Aall", extra={"xs": b"s3cr3t/ with:all"})

    written = out.getvalue()
    assert "s3cr3t" not in written
    assert lines(out)[0]["xs"] == "***"


def test_tokens_are_masked_by_their_form(out: io.StringIO) -> None:
    configure_logging(stream=out)

    log.warning("refused %s", TOKEN)

    assert lines(out)[0]["message"] == "refused ***"


def test_fields_with_a_secrets_name_are_masked_whole(out: io.StringIO) -> None:
    configure_logging(stream=out)

    log.warning(
        "x", extra={"password": "a b", "redis_password": 12345, "conf": {"token": ["a"]}, "secret": None}
    )

    line = lines(out)[0]
    assert (line["password"], line["redis_password"], line["conf"]) == ("***", "***", {"token": "***"})
    assert line["secret"] is None


def test_ordinary_words_stay_readable(out: io.StringIO) -> None:
    configure_logging(stream=out)
    text = "genesis/3 at https://docs.example/page: no key `payload.user_id`, e-mail a@b.example, basic rule"

    log.warning(text)

    assert lines(out)[0]["message"] == text


def test_long_values_are_cut(out: io.StringIO) -> None:
    configure_logging(stream=out)

    log.warning("m" * 1_000_000, extra={"value": "v" * 1_000_000, "many": list(range(1_000_000))})

    (line,) = lines(out)
    assert len(out.getvalue()) < 6_000
    assert str(line["message"]).endswith("m… (1000000 characters)")


def test_a_long_traceback_keeps_its_end(out: io.StringIO) -> None:
    configure_logging(stream=out)

    try:
        raise_with("x" * 100_000 + " the cause")
    except ConnectionError:
        log.exception("failed")

    (line,) = lines(out)
    assert len(out.getvalue()) < 10_000
    assert str(line["exception"]).endswith("the cause")


def test_hostile_text_forges_no_line_and_steers_no_terminal() -> None:
    terminal = Terminal()
    configure_logging(log_format="console", stream=terminal)
    hostile = 'a\r\n{"level":"info"}\x1b[2J\x9b1m\x00\u202e\ud800'

    log.warning(hostile, extra={"value": hostile, hostile: 1})

    written = terminal.getvalue()
    assert written.count("\n") == 1
    assert "\x1b[2J" not in written
    assert not {"\r", "\x9b", "\x00", "\u202e", "\ud800"} & set(written)


def test_values_that_json_lacks_are_written_as_text(out: io.StringIO) -> None:
    configure_logging(stream=out)
    loop: list[object] = []
    loop.append(loop)

    log.warning(
        "odd",
        extra={
            "where": Partition("genesis", 3),
            "raw": b"\xff{",
            "nan": float("nan"),
            "huge": 2**70,
            "loop": loop,
            "keys": {1: 2},
            "error": ValueError("no"),
            "lone": "\ud800",
        },
    )

    line = lines(out)[0]
    assert line["where"] == "genesis/3"
    assert line["raw"] == "\\xff{"
    assert line["nan"] is None
    assert line["huge"] == str(2**70)
    assert line["keys"] == {"1": 2}
    assert line["error"] == "no"
    assert line["lone"] == "\\ud800"


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, message, (), None)


def test_a_librarys_repeated_message_passes_once_a_period_with_the_count() -> None:
    clock = HandClock()
    repeats = RepeatedLibraryMessages("eventbridge", 10, clock)

    first = [repeats.filter(record("aiokafka", "node %s is gone")) for _ in range(50)]
    clock.now += 10
    later = record("aiokafka", "node %s is gone")
    passed_later = repeats.filter(later)

    assert first == [True] + [False] * 49
    assert passed_later
    assert later.__dict__["occurrences"] == 50


def test_other_messages_and_our_own_pass_unhindered() -> None:
    repeats = RepeatedLibraryMessages("eventbridge", 10, HandClock())

    passed = [
        repeats.filter(record(name, message))
        for name, message in [
            ("aiokafka", "one"),
            ("aiokafka", "two"),
            ("redis", "one"),
            ("eventbridge.x", "one"),
            ("eventbridge.x", "one"),
            ("eventbridge", "one"),
            ("eventbridge", "one"),
        ]
    ]

    assert all(passed)


def test_a_library_that_never_says_the_same_twice_is_bounded() -> None:
    clock = HandClock()
    repeats = RepeatedLibraryMessages("eventbridge", 10, clock)

    passed = sum(repeats.filter(record("aiokafka", f"message {number}")) for number in range(10_000))
    clock.now += 10
    afterwards = repeats.filter(record("aiokafka", "something else"))

    assert passed == MAX_TEMPLATES
    assert afterwards
