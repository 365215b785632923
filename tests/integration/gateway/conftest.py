"""What the gateway's tests share."""

import pytest

from eventbridge.adapters.http import gateway_protocol


@pytest.fixture(params=["handed over", "plain"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Streams on connections that the server hands over, and through nothing but ASGI."""
    if request.param == "plain":
        monkeypatch.setattr(gateway_protocol, "HANDOVER", "an extension that nobody asks for")
    return str(request.param)
