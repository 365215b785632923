"""The demo behind its page: whose streams there are, what was produced for them, and what can be broken."""

from collections.abc import Mapping, Sequence

from ...adapters.http.demo_page import SentEvent, StageAction, StageUser
from .board import Board, BridgeState
from .controls import Controls


class Stage:
    """`DemoStage` over the board. Users are there from the first event on: before it no stream has begun."""

    def __init__(self, board: Board, controls: Controls) -> None:
        self._board = board
        self._controls = controls

    def users(self) -> Sequence[StageUser]:
        """Whose streams there are."""
        if self._board.starting:
            return ()
        return [StageUser(page.user_id, page.name) for page in self._board.pages]

    def produced(self, user_id: str) -> int:
        """How many events were produced for the user's page so far."""
        return self._board.produced[user_id].total

    def sent(self, user_id: str, after: int, limit: int) -> tuple[int, Sequence[SentEvent]]:
        """Those after the first `after`, and how many came before these."""
        return self._board.produced[user_id].after(after, limit)

    def conditions(self) -> Mapping[str, str]:
        """How everything behind the page is."""
        board = self._board
        return {
            "redis": board.redis.value,
            "bridge": board.bridge.value,
            "circuit": board.numbers.circuit_state if board.bridge is BridgeState.RUNS else "unknown",
            "starting": board.starting,
        }

    def actions(self) -> Sequence[StageAction]:
        """The buttons."""
        return self._controls.buttons()

    async def act(self, action: str) -> bool:
        """Do it, if it can be done now."""
        return await self._controls.ask(action)
