"""Where settings come from, and which source wins."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from eventbridge.domain.white_list import DEFAULT_ALLOW
from eventbridge.entrypoints.settings import Settings
from eventbridge.entrypoints.settings_loading import DEFAULT, load_settings

TOML = """
on_sink_failure = "drop"

[kafka]
topics = ["from.file", "and, with a comma"]
group_id = "from-file"
client_id = "from-file"

[commit]
batch_size = 7
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "eventbridge.toml"
    path.write_text(TOML)
    return path


def test_configuration_loading(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBRIDGE__KAFKA__GROUP_ID", "from-environment")
    monkeypatch.setenv("EVENTBRIDGE__KAFKA__CLIENT_ID", "from-environment")

    loaded = load_settings({"kafka.client_id": ("from-option", "--set kafka.client_id")}, config=config)

    kafka = loaded.settings.kafka
    assert (kafka.client_id, loaded.origins["kafka.client_id"]) == ("from-option", "--set kafka.client_id")
    assert (kafka.group_id, loaded.origins["kafka.group_id"]) == (
        "from-environment",
        "EVENTBRIDGE__KAFKA__GROUP_ID",
    )
    assert kafka.topics == ("from.file", "and, with a comma")
    assert loaded.origins["kafka.topics"] == f"{config}: kafka.topics"
    assert loaded.settings.commit.batch_size == 7
    assert loaded.settings.on_sink_failure == "drop"
    assert kafka.bootstrap_servers == ("localhost:9092",)
    assert loaded.origins["kafka.bootstrap_servers"] == DEFAULT


def test_the_defaults_are_those_of_the_design() -> None:
    settings = load_settings().settings

    assert settings == Settings()
    assert (settings.source, settings.on_sink_failure, settings.on_state_lost) == ("main", "hold", "stop")
    assert settings.filter.allow == DEFAULT_ALLOW
    assert (settings.kafka.topics, settings.kafka.group_id) == (("genesis.session.events",), "event-bridge")
    assert settings.kafka.max_record_bytes == 1024 * 1024
    assert (settings.commit.batch_size, settings.commit.interval_seconds) == (1000, 2)
    assert settings.message.max_bytes == 64 * 1024
    assert settings.telemetry.metrics_port == 9464


def test_a_list_is_separated_by_commas_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBRIDGE__KAFKA__TOPICS", "a.b, c.d ,")

    loaded = load_settings()

    assert loaded.settings.kafka.topics == ("a.b", "c.d")


def test_the_environment_names_the_file_where_no_option_does(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTBRIDGE_CONFIG", str(config))

    loaded = load_settings()

    assert loaded.settings.commit.batch_size == 7


def test_a_variable_may_be_written_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("eventbridge__commit__batch_size", "8")

    loaded = load_settings()

    assert loaded.settings.commit.batch_size == 8
    assert loaded.origins["commit.batch_size"] == "eventbridge__commit__batch_size"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBRIDGE__COMMIT__BATCH_SIZE", "")

    loaded = load_settings()

    assert loaded.settings.commit.batch_size == 1000


def test_secrets_are_read_from_a_directory_below_the_environment(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets" / "kafka").mkdir(parents=True)
    (tmp_path / "secrets" / "kafka" / "group_id").write_text("from-secrets\n")
    (tmp_path / "secrets" / "kafka" / "client_id").write_text("from-secrets\n")
    (tmp_path / "secrets" / "redis.url").write_text("redis://from-secrets:1/0\n")
    monkeypatch.setenv("EVENTBRIDGE__KAFKA__CLIENT_ID", "from-environment")

    loaded = load_settings(config=config, secrets_dir=tmp_path / "secrets")

    assert loaded.settings.kafka.group_id == "from-secrets"
    assert loaded.origins["kafka.group_id"] == str(tmp_path / "secrets" / "kafka" / "group_id")
    assert loaded.settings.kafka.client_id == "from-environment"
    assert loaded.settings.redis.url.get_secret_value() == "redis://from-secrets:1/0"


def test_variables_that_a_container_platform_sets_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBRIDGE_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("EVENTBRIDGE_GATEWAY_PORT", "tcp://10.0.0.1:8080")

    loaded = load_settings()

    assert loaded.settings == Settings()


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.source = "other"
    with pytest.raises(ValidationError, match="frozen"):
        settings.kafka.group_id = "other"
