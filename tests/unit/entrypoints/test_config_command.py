"""`eventbridge config` shows what is in force, from where, and no secret."""

import json
import tomllib
from pathlib import Path

import pytest

from eventbridge.entrypoints.cli import main

SECRETS = {
    "EVENTBRIDGE__REDIS__URL": "rediss://bridge:hunter2@redis.example:6380/1",
    "EVENTBRIDGE__KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "EVENTBRIDGE__KAFKA__SASL_USERNAME": "bridge",
    "EVENTBRIDGE__KAFKA__SASL_PASSWORD": "hunter2",
    "EVENTBRIDGE__KAFKA__SSL_KEY_PASSWORD": "hunter2",
    "EVENTBRIDGE__GATEWAY__JWT_KEY": "hunter2",
}

Output = pytest.CaptureFixture[str]


def shown(capsys: Output, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["config", *arguments])

    assert stopped.value.code == 0
    return capsys.readouterr().out


def test_what_is_shown_is_a_settings_file_that_gives_the_same_settings(
    capsys: Output, tmp_path: Path
) -> None:
    text = shown(capsys, "--topics", "a,b", "--set", "commit.batch_size=5")
    path = tmp_path / "again.toml"
    path.write_text(text)

    again = shown(capsys, "--config", str(path), "--json")

    assert tomllib.loads(text)["kafka"]["topics"] == ["a", "b"]
    assert {key: item["value"] for key, item in json.loads(again).items()} == {
        key: item["value"]
        for key, item in json.loads(
            shown(capsys, "--topics", "a,b", "--set", "commit.batch_size=5", "--json")
        ).items()
    }


def test_each_setting_has_its_origin(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBRIDGE__KAFKA__GROUP_ID", "g")

    found = json.loads(shown(capsys, "--topics", "a,b", "--json"))

    assert found["kafka.topics"] == {"value": ["a", "b"], "origin": "--topics"}
    assert found["kafka.group_id"] == {"value": "g", "origin": "EVENTBRIDGE__KAFKA__GROUP_ID"}
    assert found["commit.batch_size"] == {"value": 1000, "origin": "default"}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_secret_is_shown(form: tuple[str, ...], capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)

    text = shown(capsys, *form)

    assert "hunter2" not in text
    assert "rediss://bridge:***@redis.example:6380/1" in text


def test_set_has_the_last_word_over_the_short_options(capsys: Output) -> None:
    found = json.loads(shown(capsys, "--group-id", "short", "--set", "kafka.group-id=long", "--json"))

    assert found["kafka.group_id"] == {"value": "long", "origin": "--set kafka.group_id"}
