"""The gateway inside a FastAPI application, under `/live`; settings come from the environment.

    pip install fastapi
    export EVENTBRIDGE__GATEWAY__AUTH=none
    uvicorn fastapi_app:app --app-dir examples --timeout-graceful-shutdown 25 --no-access-log

Then http://127.0.0.1:8000/?user=3f2b8c1e-0000-4000-8000-00000000000a shows that user's events.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse

from eventbridge.entrypoints.asgi import create_sse_app
from eventbridge.entrypoints.settings_loading import load_settings

sse = create_sse_app(load_settings().settings, drain_on=(signal.SIGTERM, signal.SIGINT))


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Whatever else the application opens may stand here, too."""
    async with sse.lifespan():
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/live", sse)

PAGE = """<!doctype html><title>Live</title><ol></ol><script>
new EventSource(`/live/events${location.search}&event=message`).onmessage = ({data}) =>
  document.querySelector("ol").append(Object.assign(document.createElement("li"), {textContent: data}))
</script>"""


@app.get("/")
def page() -> HTMLResponse:
    """A page that shows what arrives."""
    return HTMLResponse(PAGE)


@app.get("/health")
def health(response: Response) -> dict[str, object]:
    """How the gateway is, among whatever else there is to say."""
    report = sse.health()
    response.status_code = 200 if report.ready else 503
    return {check.name: check.detail for check in report.checks}
