"""Each wrong setting stops the program with exit code 2 and a sentence; all of them are told at once."""

from pathlib import Path

import pytest

from eventbridge.entrypoints.cli import main

ENVIRONMENT = [
    (
        {"KAFAK__TOPICS": "a"},
        "EVENTBRIDGE__KAFAK__TOPICS: no such setting; did you mean EVENTBRIDGE__KAFKA__TOPICS?",
    ),
    (
        {"KAFKA__TOPCS": "a"},
        "EVENTBRIDGE__KAFKA__TOPCS: no such setting; did you mean EVENTBRIDGE__KAFKA__TOPICS?",
    ),
    (
        {"ON_SINK_FAILUER": "hold"},
        "EVENTBRIDGE__ON_SINK_FAILUER: no such setting; did you mean EVENTBRIDGE__ON_SINK_FAILURE?",
    ),
    ({"QQQQQQQQQQQ": "1"}, "EVENTBRIDGE__QQQQQQQQQQQ: no such setting"),
    ({"KAFKA": "localhost:9092"}, "EVENTBRIDGE__KAFKA: is a group of settings, not a value"),
    ({"ON_SINK_FAILURE": "panic"}, 'EVENTBRIDGE__ON_SINK_FAILURE: must be hold or drop, got "panic"'),
    ({"ON_STATE_LOST": "x"}, 'EVENTBRIDGE__ON_STATE_LOST: must be stop, committed or earliest, got "x"'),
    ({"SOURCE": "a b"}, 'EVENTBRIDGE__SOURCE: must match ^[A-Za-z0-9._-]{1,64}$, got "a b"'),
    (
        {"KAFKA__BOOTSTRAP_SERVERS": "kafka"},
        'EVENTBRIDGE__KAFKA__BOOTSTRAP_SERVERS: must be host:port, with a port from 1 to 65535, got "kafka"',
    ),
    (
        {"KAFKA__BOOTSTRAP_SERVERS": "k:0"},
        'EVENTBRIDGE__KAFKA__BOOTSTRAP_SERVERS: must be host:port, with a port from 1 to 65535, got "k:0"',
    ),
    ({"KAFKA__TOPICS": ","}, 'EVENTBRIDGE__KAFKA__TOPICS: must be a list with at least one item, got ","'),
    (
        {"KAFKA__AUTO_OFFSET_RESET": "none"},
        'EVENTBRIDGE__KAFKA__AUTO_OFFSET_RESET: must be earliest or latest, got "none"',
    ),
    (
        {"KAFKA__SSL_CHECK_HOSTNAME": "2"},
        'EVENTBRIDGE__KAFKA__SSL_CHECK_HOSTNAME: must be true or false, got "2"',
    ),
    (
        {"KAFKA__MAX_BATCH_RECORDS": "many"},
        'EVENTBRIDGE__KAFKA__MAX_BATCH_RECORDS: must be a whole number, got "many"',
    ),
    ({"KAFKA__MAX_BATCH_RECORDS": "0"}, 'EVENTBRIDGE__KAFKA__MAX_BATCH_RECORDS: must be at least 1, got "0"'),
    (
        {"COMMIT__INTERVAL_SECONDS": "0"},
        'EVENTBRIDGE__COMMIT__INTERVAL_SECONDS: must be more than 0, got "0"',
    ),
    (
        {"COMMIT__INTERVAL_SECONDS": "nan"},
        'EVENTBRIDGE__COMMIT__INTERVAL_SECONDS: must be a number, got "nan"',
    ),
    ({"COMMIT__INTERVAL_SECONDS": "2s"}, 'EVENTBRIDGE__COMMIT__INTERVAL_SECONDS: must be a number, got "2s"'),
    (
        {"COMMIT__CHECKPOINT_SECONDS": "61"},
        'EVENTBRIDGE__COMMIT__CHECKPOINT_SECONDS: must be at most 60, got "61"',
    ),
    (
        {"FILTER__ALLOW": "Genesis.Ok,Genesis..X"},
        "EVENTBRIDGE__FILTER__ALLOW: pattern `Genesis..X`, character 9: a segment must not be empty",
    ),
    (
        {"FILTER__ALLOW": "Genesis.Sess*"},
        "EVENTBRIDGE__FILTER__ALLOW: pattern `Genesis.Sess*`, character 13: `*` and `**` "
        "must stand alone between dots",
    ),
    ({"BREAKER__FAILURE_RATE": "50"}, 'EVENTBRIDGE__BREAKER__FAILURE_RATE: must be at most 1, got "50"'),
    (
        {"BREAKER__PROBE_INTERVAL_SECONDS": "9"},
        "EVENTBRIDGE__BREAKER__PROBE_INTERVAL_MAX_SECONDS: must not be less than "
        "breaker.probe_interval_seconds",
    ),
    ({"MESSAGE__MAX_BYTES": "10"}, 'EVENTBRIDGE__MESSAGE__MAX_BYTES: must be at least 1024, got "10"'),
    *(
        ({"REDIS__URL": url}, f"EVENTBRIDGE__REDIS__URL: {sentence}")
        for url, sentence in [
            (
                "http://localhost",
                "a Redis URL begins with redis://, rediss://, redis+sentinel:// or redis+cluster://",
            ),
            ("redis://h:port", "a port in the Redis URL is no number between 0 and 65535"),
            ("redis://h:1,i:2", "several hosts need redis+sentinel:// or redis+cluster://"),
            ("redis://h/first", "the database at the end of the Redis URL must be one number"),
            (
                "redis+sentinel://h:26379",
                "redis+sentinel://host:port,host:port/service/db names the service",
            ),
            ("redis+cluster://h:1/2", "a Redis Cluster has no databases but 0"),
        ]
    ),
    ({"REDIS__SHARDS": "0"}, 'EVENTBRIDGE__REDIS__SHARDS: must be at least 1, got "0"'),
    (
        {"TELEMETRY__METRICS_PORT": "70000"},
        'EVENTBRIDGE__TELEMETRY__METRICS_PORT: must be at most 65535, got "70000"',
    ),
    (
        {"TELEMETRY__LOG_LEVEL": "loud"},
        'EVENTBRIDGE__TELEMETRY__LOG_LEVEL: must be debug, info, warning or error, got "loud"',
    ),
    (
        {"KAFKA__SSL_CA_FILE": "ca.pem"},
        "EVENTBRIDGE__KAFKA__SSL_CA_FILE: has no effect while kafka.security_protocol is PLAINTEXT",
    ),
    (
        {"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CA_FILE": "/nowhere/ca.pem"},
        "EVENTBRIDGE__KAFKA__SSL_CA_FILE: no such file: /nowhere/ca.pem",
    ),
    (
        {"KAFKA__SASL_USERNAME": "u"},
        "EVENTBRIDGE__KAFKA__SASL_USERNAME: has no effect while kafka.security_protocol is "
        "PLAINTEXT; set SASL_SSL",
    ),
    (
        {"KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "KAFKA__SASL_USERNAME": "u"},
        "EVENTBRIDGE__KAFKA__SASL_PASSWORD: must be set, since kafka.security_protocol is "
        "SASL_SSL with SCRAM-SHA-512",
    ),
    (
        {
            "KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA__SASL_MECHANISM": "PLAIN",
            "KAFKA__SASL_USERNAME": "u",
            "KAFKA__SASL_PASSWORD": "p",
        },
        "EVENTBRIDGE__KAFKA__SECURITY_PROTOCOL: would send the secret of PLAIN "
        "unencrypted; set SASL_SSL, or kafka.sasl_allow_plaintext_password=true",
    ),
]

FILES = [
    ("[kafka", "is not TOML: "),
    ("[kafak]\ntopics = ['a']", "kafak: no such setting; did you mean kafka?"),
    ("[kafka]\ntopcs = ['a']", "kafka.topcs: no such setting; did you mean kafka.topics?"),
    ("kafka = 'localhost'", "kafka: is a group of settings, not a value"),
    ("[source]\nname = 'x'", "source: is a value, not a group of settings"),
    ("[kafka]\ntopics = 3", 'kafka.topics: must be a list, got "3"'),
    ("[kafka]\ngroup_id = 3", 'kafka.group_id: must be a text, got "3"'),
    ("on_sink_failure = 'x'", 'on_sink_failure: must be hold or drop, got "x"'),
]

Output = pytest.CaptureFixture[str]


def complaints(capsys: Output, *arguments: str) -> list[str]:
    """What `eventbridge config` says of wrong settings, line by line."""
    with pytest.raises(SystemExit) as stopped:
        main(["config", *arguments])

    assert stopped.value.code == 2
    written = capsys.readouterr()
    assert written.out == ""
    lines = written.err.splitlines()
    assert all(line.startswith("eventbridge: ") for line in lines)
    return [line.removeprefix("eventbridge: ") for line in lines]


@pytest.mark.parametrize(("variables", "sentence"), ENVIRONMENT, ids=[s for _, s in ENVIRONMENT])
def test_a_wrong_variable_is_one_sentence(
    variables: dict[str, str], sentence: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"EVENTBRIDGE__{name}", value)

    assert complaints(capsys) == [sentence]


@pytest.mark.parametrize(("text", "sentence"), FILES, ids=[s for _, s in FILES])
def test_a_wrong_file_is_one_sentence(text: str, sentence: str, capsys: Output, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)

    (line,) = complaints(capsys, "--config", str(path))

    assert line.startswith(f"{path}: {sentence}")


def test_a_file_that_is_missing_is_one_sentence(capsys: Output, tmp_path: Path) -> None:
    path = tmp_path / "missing.toml"

    assert complaints(capsys, "--config", str(path)) == [f"{path}: no such file of settings"]


def test_a_directory_of_secrets_that_is_missing_is_one_sentence(capsys: Output, tmp_path: Path) -> None:
    path = tmp_path / "missing"

    assert complaints(capsys, "--secrets-dir", str(path)) == [f"{path}: no such directory of secrets"]


def test_all_mistakes_are_told_at_once(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[commit]\nbatch_size = 0\nbatch_sise = 1\n")
    monkeypatch.setenv("EVENTBRIDGE__KAFAK__TOPICS", "a")
    monkeypatch.setenv("EVENTBRIDGE__FILTER__ALLOW", "a..b,*x")

    lines = complaints(capsys, "--config", str(path), "--set", "redis.shards=none", "--log-level", "loud")

    assert sorted(line.partition(": ")[0] for line in lines) == sorted(
        [
            "--log-level",
            "--set redis.shards",
            str(path),
            str(path),
            "EVENTBRIDGE__FILTER__ALLOW",
            "EVENTBRIDGE__FILTER__ALLOW",
            "EVENTBRIDGE__KAFAK__TOPICS",
        ]
    )


@pytest.mark.parametrize("name", ["EVENTBRIDGE_KAFKA__TOPICS", "EVENTBRIDGE_KAFKA_TOPICS"])
def test_a_variable_that_has_lost_underscores_is_not_ignored(
    name: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "a")

    assert complaints(capsys) == [f"{name}: no such setting; did you mean EVENTBRIDGE__KAFKA__TOPICS?"]


def test_an_unknown_option_key_is_one_sentence(capsys: Output) -> None:
    assert complaints(capsys, "--set", "kafka.topcs=a") == [
        "--set kafka.topcs: no such setting; did you mean kafka.topics?"
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [("redis.url", "http://user:hunter2@host"), ("redis.url", "redis://user:hunter2@host:x")],
)
def test_a_secret_is_not_repeated_in_the_sentence(key: str, value: str, capsys: Output) -> None:
    lines = complaints(capsys, "--set", f"{key}={value}")

    assert lines
    assert "hunter2" not in "\n".join(lines)


def test_a_secret_of_the_wrong_kind_is_not_repeated_either(capsys: Output, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[kafka]\nsasl_password = 20261123\n")

    (line,) = complaints(capsys, "--config", str(path))

    assert line == f"{path}: kafka.sasl_password: must be a text"


def test_a_long_value_is_cut_and_escaped(capsys: Output) -> None:
    (line,) = complaints(capsys, "--set", "commit.batch_size=" + "\x1b[31m" + "9" * 500 + "x")

    assert line.endswith('…"') or line.endswith('\\u2026"')
    assert "\x1b" not in line
    assert len(line) < 200
