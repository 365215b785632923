"""How the gateway's listener is set up for thousands of connections that mostly wait."""

import socket
from typing import Final

from .embedded_server import ServerTuning
from .gateway_protocol import GatewayProtocol
from .request_limits import MAX_HEAD_BYTES

SEND_BUFFER_BYTES: Final = 64 * 1024
"""The kernel's, per connection (Linux doubles it for its own accounts); left alone it grows to megabytes,
filled by each client that takes nothing."""

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; Linux caps it at net.core.somaxconn."""

KERNEL_SECONDS: Final = 5.0
"""What the kernel waits longer than the gateway."""


def gateway_tuning(send_timeout_seconds: float) -> ServerTuning:
    """As many connections as `Admission` lets in, each with bounded buffers and a limit to silence."""
    options = {
        (socket.SOL_SOCKET, socket.SO_SNDBUF): SEND_BUFFER_BYTES,
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    }
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A client that vanished without a word acknowledges nothing. One that is there and takes nothing is
        # cut before, with a reason.
        patience = send_timeout_seconds + KERNEL_SECONDS
        options[(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)] = int(patience * 1000)
    return ServerTuning(
        protocol=GatewayProtocol,
        max_head_bytes=MAX_HEAD_BYTES,
        max_connections=None,
        backlog=BACKLOG,
        socket_options=options,
    )
