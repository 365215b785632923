"""FAULTS 51: whatever is wrong with the settings, no command repeats a secret that stands among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from eventbridge.entrypoints.cli import main

SECRET = "hunter2-planted"
COMMANDS = ("run", "serve", "check", "config", "revoke", "tail", "produce", "skip", "health")

MISTAKES: Mapping[str, Mapping[str, str]] = {
    "a Redis URL with a mistyped scheme": {"REDIS__URL": f"redsi://bridge:{SECRET}@redis.example:6379/0"},
    "a Redis URL without a host": {"REDIS__URL": f"redis://:{SECRET}@"},
    "a Redis URL with a wrong port": {"REDIS__URL": f"redis://bridge:{SECRET}@redis.example:port/0"},
    "a Redis URL with a password that is not escaped": {"REDIS__URL": f"redis://bridge:a/{SECRET}#@h:1/0"},
    "a Redis URL with a wrong option": {"REDIS__URL": f"redis://h:1/0?password={SECRET}&x=1"},
    "a Redis URL with a wrong database": {"REDIS__URL": f"redis://:{SECRET}@h:1/zero"},
    "a Sentinel URL without a service": {"REDIS__URL": f"redis+sentinel://u:{SECRET}@h:1"},
    "a Cluster URL with a database": {"REDIS__URL": f"redis+cluster://u:{SECRET}@h:1/3"},
    "a secret in a setting that does not exist": {"REDIS__PASSWORD": SECRET},
    "a secret in a mistyped setting": {"KAFKA__SASL_PASWORD": SECRET},
    "a key that is no key": {"GATEWAY__JWT_KEY": SECRET, "GATEWAY__JWT_AUDIENCE": "a"},
    "a private key": {
        "GATEWAY__JWT_KEY": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        "GATEWAY__JWT_AUDIENCE": "a",
        "GATEWAY__JWT_ALGORITHMS": "RS256",
    },
    "a JWKS URL with a password": {"GATEWAY__JWKS_URL": f"https://u:{SECRET}@id.example/keys"},
    "a password without a mechanism": {"KAFKA__SASL_PASSWORD": SECRET},
    "a password in the clear": {
        "KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA__SASL_MECHANISM": "PLAIN",
        "KAFKA__SASL_USERNAME": "u",
        "KAFKA__SASL_PASSWORD": SECRET,
    },
    "brokers with a password": {"KAFKA__BOOTSTRAP_SERVERS": f"kafka://u:{SECRET}@kafka.example:9092"},
    "brokers with a password and without a port": {"KAFKA__BOOTSTRAP_SERVERS": f"u:{SECRET}@kafka.example"},
    "a token endpoint with a password": {
        "KAFKA__SASL_MECHANISM": "OAUTHBEARER",
        "KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA__SASL_OAUTH_CLIENT_ID": "u",
        "KAFKA__SASL_OAUTH_TOKEN_URL": f"https://u:{SECRET}@id.example/token",
        "KAFKA__SASL_OAUTH_CLIENT_SECRET": SECRET,
    },
}


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """All that a command says of wrong settings."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code in {0, 1, 2}
    return str(out) + str(err)


@pytest.mark.parametrize("settings", MISTAKES.values(), ids=MISTAKES.keys())
def test_no_command_repeats_a_secret_in_a_wrong_setting(
    settings: Mapping[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is right about them must still not lead anywhere.
    monkeypatch.setenv("EVENTBRIDGE__COMMIT__BATCH_SIZE", "none")
    for name, value in settings.items():
        monkeypatch.setenv(f"EVENTBRIDGE__{name}", value)

    lines = {command: said(capsys, command) for command in COMMANDS}
    monkeypatch.delenv("EVENTBRIDGE__COMMIT__BATCH_SIZE")
    lines |= {form: said(capsys, "config", *form.split()) for form in ("--json", "--set=source=main")}

    assert [text for text in lines.values() if SECRET in text or "Traceback" in text] == []
    assert "BATCH_SIZE" in lines["run"]


@pytest.mark.parametrize("settings", MISTAKES.values(), ids=MISTAKES.keys())
def test_no_option_and_no_file_is_repeated_either(
    settings: Mapping[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    keys = {name.lower().replace("__", "."): value for name, value in settings.items()}
    options = [f"--set={key}={value}" for key, value in keys.items()]
    path = tmp_path / "settings.toml"
    path.write_text("".join(f'{key} = """{value}"""\n' for key, value in keys.items()))
    broken = tmp_path / "broken.toml"
    broken.write_text(f'[gateway]\njwt_key = "{SECRET}\n')

    for command in ("run", "serve", "config"):
        wrong = "--set=commit.batch_size=none"
        assert SECRET not in said(capsys, command, wrong, *options)
        assert SECRET not in said(capsys, command, wrong, "--config", str(path))
        assert SECRET not in said(capsys, command, "--config", str(broken))
