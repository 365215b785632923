"""A server that is none of those that we speak to, and sends back what it was sent: passwords, too."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable
from typing import Self

Answer = Callable[[bytes], bytes]
"""What it sends for what arrived; nothing, and it hangs up."""


class HostileServer(socketserver.ThreadingTCPServer):
    """On a free port of the loopback; as a context manager it answers in threads of its own."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, HostileServer)
        try:
            while (data := self.request.recv(65_536)) and (answer := self.server.answer(data)):
                self.request.sendall(answer)
        except OSError:
            return


def _words(data: bytes) -> bytes:
    """The words of a Redis command."""
    return b" ".join(data.split(b"\r\n")[2::2])


REDIS: dict[str, Answer] = {
    "an older Redis": lambda data: (
        b"-ERR unknown command 'HELLO', with args beginning with: %a\r\n"
        % _words(data).decode(errors="replace")
    ),
    "a talkative refusal": lambda data: b"-WRONGPASS %s\r\n" % _words(data),
    "an echo": lambda data: data,
    "a text": lambda data: b"+%s\r\n" % _words(data),
    "a redirection": lambda data: b"-MOVED 5 %s\r\n" % _words(data).replace(b" ", b"/"),
    "a web server": lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n%s\r\n" % _words(data),
    "nothing": lambda _: b"",
}
"""How a server may answer that is taken for Redis."""


def _http(status: str, *headers: bytes) -> Answer:
    return lambda data: (
        b"HTTP/1.1 %s\r\n%s\r\n%s"
        % (
            status.encode(),
            b"".join(b"%s\r\n" % header for header in headers),
            data,
        )
    )


WEB: dict[str, Answer] = {
    "an error": _http("500 planted"),
    "no JSON": _http("200 OK", b"Connection: close", b"Content-Length: 100"),
    "a redirection": _http("302 Found", b"Location: http://u:planted@127.0.0.1:1/?key=planted"),
    "a list of keys that are none": _http(
        "200 OK", b"Content-Length: 65", b"", b'{"keys": [{"kty": "RSA", "kid": "planted", "n": "planted"}]}'
    ),
    "an echo": lambda data: data,
    "nothing": lambda _: b"",
}
"""How a server may answer that a key set is asked of."""


def refuse_login_to_kafka(data: bytes) -> bytes:
    """A broker with SASL that repeats in its refusal what it was sent to log in."""
    key, _, correlation = struct.unpack_from(">hhi", data, 4)
    if key == 18:
        versions = ((17, 1, 1), (18, 0, 0), (36, 0, 0))
        body = struct.pack(">hi", 0, len(versions)) + b"".join(
            struct.pack(">hhh", *each) for each in versions
        )
    elif key == 17:
        mechanisms = (b"PLAIN", b"OAUTHBEARER")
        body = struct.pack(">hi", 0, len(mechanisms)) + b"".join(
            struct.pack(">h", len(each)) + each for each in mechanisms
        )
    else:
        client_id = struct.unpack_from(">h", data, 12)[0]
        sent = data[14 + client_id + 4 :]
        body = struct.pack(">hh", 58, len(sent)) + sent + struct.pack(">i", 0)
    return struct.pack(">ii", 4 + len(body), correlation) + body
