"""Many things that are due again and again, without a timer each."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Slots that are visited one per turn: what was put `turns` ahead is due at that turn."""

    __slots__ = ("_now", "_slots")

    def __init__(self, turns: int) -> None:
        """Hold what is due within so many turns."""
        self._slots: list[list[T]] = [[] for _ in range(turns + 1)]
        self._now = 0

    def put(self, item: T, turns: int) -> int:
        """Let the item be due after so many turns (at least one); answers what `drop` wants."""
        slot = (self._now + min(max(turns, 1), len(self._slots) - 1)) % len(self._slots)
        self._slots[slot].append(item)
        return slot

    def drop(self, item: T, slot: int) -> None:
        """Forget an item that is not due yet; without effect where it was."""
        if item in self._slots[slot]:
            self._slots[slot].remove(item)

    def turn(self) -> list[T]:
        """Go on by one, and take what is due."""
        self._now = (self._now + 1) % len(self._slots)
        due, self._slots[self._now] = self._slots[self._now], []
        return due
