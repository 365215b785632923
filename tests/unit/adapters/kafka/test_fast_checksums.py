"""Damaged batches are told from intact ones, whatever the format, and what comes before them is given."""

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from eventbridge.adapters.kafka.fast_checksums import CheckedRecords, check_fast


def batch(first: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=4096,
    )
    for offset in range(3):
        builder.append(offset, 1_700_000_000_000, b"key", b"value %d" % (first + offset), [("name", b"x")])
    return bytes(builder.build())


def legacy_batch(value: bytes) -> bytes:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=4096)
    builder.append(0, 1_700_000_000_000, b"key", value)
    return bytes(builder.build())


def damaged(intact: bytes, at: int = -1) -> bytes:
    found = bytearray(intact)
    found[at] ^= 1
    return bytes(found)


def values(fetched: bytes) -> list[bytes]:
    records, found = CheckedRecords(fetched), []
    while records.has_next():
        found += [record.value for record in records.next_batch()]
    return found


def test_intact_batches_are_given_one_after_the_other() -> None:
    assert values(batch(0) + batch(3)) == [b"value %d" % number for number in range(6)]
    assert values(legacy_batch(b"old") + legacy_batch(b"older")) == [b"old", b"older"]


@pytest.mark.parametrize("at", [17, 21, -1], ids=["checksum", "first byte covered", "last byte"])
def test_a_damaged_batch_is_refused_after_those_before_it_were_given(at: int) -> None:
    records = CheckedRecords(batch(0) + damaged(batch(3), at) + batch(6))
    first = records.next_batch()

    with pytest.raises(CorruptRecordException):
        records.next_batch()

    assert [record.value for record in first] == [b"value 0", b"value 1", b"value 2"]


def test_a_damaged_batch_of_the_former_format_is_refused() -> None:
    records = CheckedRecords(legacy_batch(b"old") + damaged(legacy_batch(b"older")))
    records.next_batch()

    with pytest.raises(CorruptRecordException):
        records.next_batch()


def test_what_was_cut_off_at_the_end_of_a_fetch_is_left_for_the_next_one() -> None:
    assert values(batch(0) + batch(3)[:40]) == [b"value 0", b"value 1", b"value 2"]


def test_consumers_read_by_it_once_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", None)

    assert check_fast()

    assert fetcher.MemoryRecords is CheckedRecords
