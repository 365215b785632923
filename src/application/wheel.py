"""Many things that are due again and again, without a timer each."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Slots that are visited one per turn: what was put `turns` ahead is due at that turn."""

    __slots__ = ("_slots", "now", "turns")

    def __init__(self, turns: int) -> None:
        """Hold what is due within so many turns."""
        self.turns = turns
        self._slots: list[list[T]] = [[] for _ in range(turns + 1)]
        self.now = 0
        """How many turns there were."""

    def put(self, item: T, turns: int) -> int:
        """Let the item be due after so many turns (at least one); answers what `drop` wants."""
        slot = (self.now + min(max(turns, 1), len(self._slots) - 1)) % len(self._slots)
        self._slots[slot].append(item)
        return slot

    def drop(self, item: T, slot: int) -> None:
        """Forget an item that is not due yet; without effect where it was."""
        if item in self._slots[slot]:
            self._slots[slot].remove(item)

    def turn(self) -> list[T]:
        """Go on by one, and take what is due."""
        self.now += 1
        slot = self.now % len(self._slots)
        due, self._slots[slot] = self._slots[slot], []
        return due
