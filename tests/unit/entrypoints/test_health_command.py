"""`eventbridge health` asks the address in the settings, and exits as probes expect."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from eventbridge.entrypoints.cli import main

Output = pytest.CaptureFixture[str]


class Probed(HTTPServer):
    """Answers every probe with `status` and `body`."""

    status = 200
    body = b'{"ready":true,"reasons":[]}'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.paths: list[str] = []


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        probed = self.server
        assert isinstance(probed, Probed)
        probed.paths.append(self.path)
        self.send_response(probed.status)
        self.end_headers()
        self.wfile.write(probed.body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing."""


@pytest.fixture
def probed() -> Iterator[Probed]:
    with Probed() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as stopped:
        main(["health", *arguments])
    return stopped.value.code


def test_ready_is_exit_code_0(probed: Probed, capsys: Output) -> None:
    code = exit_code("--port", str(probed.server_port))

    assert code == 0
    assert capsys.readouterr().out == "ready\n"
    assert probed.paths == ["/health/ready"]


def test_not_ready_is_exit_code_1_with_the_reasons(probed: Probed, capsys: Output) -> None:
    probed.status = 503
    probed.body = json.dumps({"ready": False, "reasons": ["sink: the circuit is open", "b"]}).encode()

    code = exit_code("--port", str(probed.server_port))

    assert code == 1
    assert capsys.readouterr().err.splitlines() == ["sink: the circuit is open", "b"]


def test_live_asks_another_question(probed: Probed) -> None:
    code = exit_code("--port", str(probed.server_port), "--live")

    assert code == 0
    assert probed.paths == ["/health/live"]


def test_nobody_there_is_exit_code_1(probed: Probed, capsys: Output) -> None:
    port = probed.server_port
    probed.server_close()

    code = exit_code("--port", str(port), "--timeout", "0.2")

    assert code == 1
    assert f"no answer from 127.0.0.1:{port}" in capsys.readouterr().err


def test_an_answer_that_is_no_json_is_still_an_answer(probed: Probed, capsys: Output) -> None:
    probed.status = 500
    probed.body = b"<html>"

    code = exit_code("--port", str(probed.server_port))

    assert code == 1
    assert capsys.readouterr().err == "/health/ready answered 500\n"


@pytest.mark.parametrize("source", ["environment", "file", "variable for the file"])
def test_the_address_is_the_settings(
    source: str, probed: Probed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "eventbridge.toml"
    path.write_text(f'[telemetry]\nmetrics_host = "0.0.0.0"\nmetrics_port = {probed.server_port}\n')
    if source == "environment":
        monkeypatch.setenv("EVENTBRIDGE__TELEMETRY__METRICS_PORT", str(probed.server_port))
    elif source == "variable for the file":
        monkeypatch.setenv("EVENTBRIDGE_CONFIG", str(path))

    code = exit_code(*(["--config", str(path)] if source == "file" else []))

    assert code == 0


def test_a_wrong_port_is_exit_code_2(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBRIDGE__TELEMETRY__METRICS_PORT", "many")

    code = exit_code()

    assert code == 2
    assert "EVENTBRIDGE__TELEMETRY__METRICS_PORT: must be a whole number" in capsys.readouterr().err


def test_a_probe_does_not_load_what_makes_the_others_slow() -> None:
    heavy = {
        "pydantic",
        "pydantic_settings",
        "dependency_injector",
        "aiokafka",
        "redis",
        "asyncio",
        "starlette",
    }
    program = (
        "import sys; from eventbridge.entrypoints.cli import main\n"
        "try: main(['health', '--port', '1', '--timeout', '0.1'])\n"
        "except SystemExit: print(*sys.modules)"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert heavy.isdisjoint(loaded.split())
