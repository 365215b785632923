"""The mountable gateway as any ASGI server serves it, and what it holds meanwhile, at `/footprint`."""

import asyncio
import gc
import json
import os
import signal

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from eventbridge.application.live_hub import LiveHub
from eventbridge.entrypoints.asgi import create_sse_app
from eventbridge.entrypoints.settings import Settings

sse = create_sse_app(
    Settings.model_validate(json.loads(os.environ["SETTINGS_UNDER_TEST"])),
    drain_on=(signal.SIGTERM, signal.SIGINT),
)


def footprint() -> dict[str, int]:
    """What is held now."""
    container = sse._container
    assert container is not None
    hub: LiveHub = container.hub()
    streams = container.open_streams()._streams
    return {
        "tasks": len(asyncio.all_tasks()),
        "slots": container.admission().open,
        "streams": len(streams),
        "sessions": len(hub.sessions()),
        "stuck": sum(stream.sending_since is not None for stream in streams),
    }


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Both."""
    if scope["type"] == "http" and scope["path"] == "/footprint":
        gc.collect()
        await JSONResponse(footprint())(scope, receive, send)
    else:
        await sse(scope, receive, send)
