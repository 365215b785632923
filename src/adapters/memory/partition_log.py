"""The records of one partition, as a broker keeps them."""

from bisect import bisect_left

from ...application.errors import PartitionPoisoned, PositionOutOfLog
from ...application.ports import LogBounds, Polled, Record
from ...domain.delivery import Partition


class PartitionLog:
    """Records by offset: gaps where control records or compacted ones lay, a start that retention moves."""

    __slots__ = ("_end", "_offsets", "_partition", "_poisoned", "_records", "_start")

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._start = 0
        self._end = 0
        self._poisoned: int | None = None
        self._offsets: list[int] = []
        self._records: list[Record] = []

    @property
    def bounds(self) -> LogBounds:
        """First offset kept and the one after the last."""
        return LogBounds(start=self._start, end=self._end)

    def append(self, record: Record) -> None:
        """Raises `ValueError` where the record's offset lies before the end; past the end it leaves a gap."""
        if record.offset < self._end:
            raise ValueError(
                f"{self._partition} ends at {self._end}, no record can follow at {record.offset}"
            )
        self._offsets.append(record.offset)
        self._records.append(record)
        self._end = record.offset + 1

    def skip(self, count: int) -> None:
        """Use up offsets without any record."""
        self._end += count

    def trim(self, start: int) -> None:
        """Forget what lies before `start`."""
        kept = bisect_left(self._offsets, start)
        del self._offsets[:kept], self._records[:kept]
        self._start = start
        self._end = max(self._end, start)

    def poison(self, offset: int | None) -> None:
        """Nothing can be read from `offset` on before one seeks past it; None heals it."""
        self._poisoned = offset

    def read(self, position: int, limit: int) -> Polled:
        """Up to `limit` records from the position on. Raises `PartitionPoisoned`, `PositionOutOfLog`.

        Past the last record, `next_offset` is the end, over whatever gap there is.
        """
        if not self._start <= position <= self._end:
            raise PositionOutOfLog(self._partition, position)
        if position == self._poisoned:
            raise PartitionPoisoned(self._partition, position, "its checksum is wrong")
        readable, end = len(self._offsets), self._end
        if self._poisoned is not None and position < self._poisoned < end:
            readable, end = bisect_left(self._offsets, self._poisoned), self._poisoned
        first = bisect_left(self._offsets, position)
        last = min(first + limit, readable)
        next_offset = self._offsets[last - 1] + 1 if first < last < readable else end
        return Polled(records=tuple(self._records[first:last]), next_offset=max(position, next_offset))

    def timestamp_at(self, offset: int) -> int | None:
        """The timestamp of the record at exactly this offset. Raises `PartitionPoisoned`."""
        if offset == self._poisoned:
            raise PartitionPoisoned(self._partition, offset, "its checksum is wrong")
        index = bisect_left(self._offsets, offset)
        if index < len(self._offsets) and self._offsets[index] == offset:
            return self._records[index].timestamp
        return None
