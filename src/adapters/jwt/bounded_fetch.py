"""One GET, bounded in time and size, that never holds up the event loop or the end of the program."""

import asyncio
import contextlib
import socket
import ssl
import threading
from concurrent.futures import Future
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit


class FetchFailed(Exception):
    """There is no answer to use; the text says why, without the URL."""


async def fetch(url: str, *, timeout_seconds: float, max_bytes: int) -> bytes:
    """The body that an https URL (or http, on this machine) answers with 200. Raises `FetchFailed`.

    Redirects are not followed: they could lead to where nothing is encrypted. Proxies are not asked. The
    time limit is for all of it; when it is over, or the caller is cancelled, the connection is cut.
    """
    request = _Request(url, timeout_seconds, max_bytes)
    # A thread of its own: one of the loop's pool would be waited for when the program ends.
    threading.Thread(target=request.run, name="fetch", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_seconds):
            return await asyncio.wrap_future(request.outcome)
    except TimeoutError:
        raise FetchFailed(f"no answer within {timeout_seconds:g} s") from None
    finally:
        request.cut()


class _Request:
    """The blocking call, in its own thread."""

    def __init__(self, url: str, timeout_seconds: float, max_bytes: int) -> None:
        self.outcome: Future[bytes] = Future()
        self.outcome.set_running_or_notify_cancel()
        self._max_bytes = max_bytes
        parts = urlsplit(url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname or ""
        self._connection: HTTPConnection = (
            HTTPSConnection(host, parts.port, timeout=timeout_seconds, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(host, parts.port, timeout=timeout_seconds)
        )

    def run(self) -> None:
        """Ask, and hand over the body or the failure."""
        try:
            self.outcome.set_result(self._ask())
        except FetchFailed as failed:
            self.outcome.set_exception(failed)
        except (OSError, HTTPException, ValueError) as error:
            # The system's own words; those of other errors may quote what the other side has sent.
            words = error.strerror if isinstance(error, OSError) else None
            self.outcome.set_exception(FetchFailed(words or type(error).__name__))
        finally:
            self._connection.close()

    def cut(self) -> None:
        """Let a thread that still waits for the other side wait no longer."""
        connected = self._connection.sock
        if connected is not None and not self.outcome.done():
            with contextlib.suppress(OSError):
                # Not the TLS socket's own, which is not for another thread than the one that reads.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def _ask(self) -> bytes:
        self._connection.request("GET", self._path, headers={"Accept": "application/json"})
        with self._connection.getresponse() as answer:
            return self._body(answer)

    def _body(self, answer: HTTPResponse) -> bytes:
        if answer.status != 200:
            raise FetchFailed(f"it answered {answer.status}")
        body = answer.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise FetchFailed(f"its answer has more than {self._max_bytes} bytes")
        return body
