"""Tokens come from a file or an endpoint, are used for most of their life, and never stop the loop."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError

from eventbridge.adapters.kafka.oauth_tokens import EndpointToken, FileToken, TokenEndpoint
from eventbridge.application.errors import SourceMisconfigured


class Issuer:
    """A token endpoint on the loopback: what it was asked, and how it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.status = 200
        self.body: object = None
        self.life = 300.0
        self.location: str | None = None
        self.release = threading.Event()
        self.release.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append((self.headers["Authorization"], {}))
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                issuer.asked.append((self.headers["Authorization"], parse_qs(form)))
                issuer.release.wait(10)
                body = issuer.body or {
                    "access_token": f"token-{len(issuer.asked)}",
                    "expires_in": issuer.life,
                }
                self.send_response(issuer.status)
                if issuer.location is not None:
                    self.send_header("Location", issuer.location)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride]  # silent

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, args=(0.01,))
    thread.start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()
    thread.join()


def _endpoint(issuer: Issuer) -> TokenEndpoint:
    return TokenEndpoint(issuer.url, "bridge", "s3c:ret", "kafka.read")


async def test_a_token_is_asked_for_with_the_clients_credentials(issuer: Issuer) -> None:
    token = await EndpointToken(_endpoint(issuer)).token()

    assert token == "token-1"
    ((authorization, form),) = issuer.asked
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"bridge:s3c%3Aret"
    assert form == {"grant_type": ["client_credentials"], "scope": ["kafka.read"]}


async def test_connections_at_the_same_time_share_one_token_while_the_loop_goes_on(issuer: Issuer) -> None:
    issuer.release.clear()
    provider = EndpointToken(_endpoint(issuer))

    asking = [asyncio.create_task(provider.token()) for _ in range(5)]
    while not issuer.asked:  # noqa: ASYNC110 - it is a thread that asks
        await asyncio.sleep(0.001)  # the loop turns while the endpoint is silent
    issuer.release.set()

    assert await asyncio.gather(*asking) == ["token-1"] * 5


async def test_a_token_is_renewed_before_it_ends(issuer: Issuer) -> None:
    issuer.life = 0.0
    provider = EndpointToken(_endpoint(issuer))

    assert [await provider.token(), await provider.token()] == ["token-1", "token-2"]


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refusal_is_told_from_a_failure(issuer: Issuer, status: int) -> None:
    issuer.status = status

    with pytest.raises(AuthenticationFailedError, match=f"answered {status}"):
        await EndpointToken(_endpoint(issuer)).token()

    issuer.status = 503
    with pytest.raises(KafkaConnectionError, match="answered 503"):
        await EndpointToken(_endpoint(issuer)).token()


async def test_an_answer_without_a_token_is_a_refusal(issuer: Issuer) -> None:
    issuer.body = {"no": "token"}

    with pytest.raises(AuthenticationFailedError, match="holds no token"):
        await EndpointToken(_endpoint(issuer)).token()


async def test_an_endpoint_that_is_away_is_a_failure() -> None:
    endpoint = TokenEndpoint("http://127.0.0.1:1/token", "bridge", "s3cret")

    with pytest.raises(KafkaConnectionError) as failed:
        await EndpointToken(endpoint).token()

    assert "s3cret" not in str(failed.value) + repr(endpoint)


async def test_a_redirect_is_not_followed_since_the_clients_secret_would_go_along(issuer: Issuer) -> None:
    issuer.status, issuer.location = 302, f"{issuer.url}/elsewhere"

    with pytest.raises(KafkaConnectionError, match="answered 302"):
        await EndpointToken(_endpoint(issuer)).token()

    assert len(issuer.asked) == 1


async def test_an_endpoint_that_speaks_no_http_is_a_failure() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"grant_type=client_credentials")
        writer.write(b"220 s3cret ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(KafkaConnectionError, match="cannot be reached: BadStatusLine") as failed:
            await EndpointToken(TokenEndpoint(f"http://127.0.0.1:{port}/", "bridge", "s3cret")).token()

    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize("url", ["http://issuer.example/token", "file:///etc/passwd", "token"])
def test_secrets_go_to_https_alone(url: str) -> None:
    with pytest.raises(SourceMisconfigured, match="https://"):
        TokenEndpoint(url, "bridge", "s3cret")


async def test_a_tokens_file_is_read_anew_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    provider = FileToken(str(file))

    first = await provider.token()
    file.write_text("two\n")
    second = await provider.token()

    assert (first, second) == ("one", "two")


@pytest.mark.parametrize("content", [None, "", "\n", "ü"])
async def test_a_file_without_a_token_is_a_refusal(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)

    with pytest.raises(AuthenticationFailedError):
        await FileToken(str(file)).token()
