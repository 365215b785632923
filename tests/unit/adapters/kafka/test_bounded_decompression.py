"""Batches are unpacked within a bound, whatever they claim."""

import gzip
import random
import resource
import struct
import time
import zlib
from collections.abc import Callable

import cramjam
import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.default_records import (
    DefaultRecordBatch,
    DefaultRecordBatchBuilder,
    _DefaultRecordBatchPy,
)
from aiokafka.record.legacy_records import (
    LegacyRecordBatch,
    _LegacyRecordBatchBuilderPy,
    _LegacyRecordBatchPy,
)
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.adapters.kafka import bounded_decompression
from eventbridge.adapters.kafka.bounded_decompression import (
    BatchCorrupt,
    BatchTooLarge,
    PatchIneffective,
    bound_decompression,
    gunzip,
    unlz4,
    unsnap,
    unzstd,
)

MIB = 1 << 20
LIMIT = 16 * MIB

Unpack = Callable[[bytes, int], bytes]
CODECS: dict[str, tuple[Unpack, Callable[[bytes], bytes]]] = {
    "gzip": (gunzip, gzip_encode),
    "snappy raw": (unsnap, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "snappy in xerial's blocks": (unsnap, snappy_encode),
    "lz4": (unlz4, lz4_encode),
    "zstd": (unzstd, zstd_encode),
}
codecs = pytest.mark.parametrize(("unpack", "pack"), CODECS.values(), ids=CODECS.keys())


@codecs
@given(data=st.binary(max_size=5000))
def test_what_was_packed_is_unpacked(unpack: Unpack, pack: Callable[[bytes], bytes], data: bytes) -> None:
    packed = pack(data)

    unpacked = unpack(packed, LIMIT)

    assert unpacked == data


@codecs
def test_exactly_the_limit_is_unpacked_and_a_byte_more_is_not(
    unpack: Unpack, pack: Callable[[bytes], bytes]
) -> None:
    data = random.Random(7).randbytes(100_000)

    assert unpack(pack(data), len(data)) == data
    with pytest.raises(BatchTooLarge, match="more than 99999 bytes"):
        unpack(pack(data), len(data) - 1)


@codecs
def test_data_that_ends_early_is_refused(unpack: Unpack, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(random.Random(7).randbytes(10_000))

    # What then stands last in gzip data passes for its size, and may be any number.
    with pytest.raises((BatchCorrupt, BatchTooLarge)):
        unpack(packed[: len(packed) // 2], LIMIT)


@codecs
@given(noise=st.binary(min_size=1, max_size=200))
def test_noise_raises_our_errors_alone(unpack: Unpack, pack: Callable[[bytes], bytes], noise: bytes) -> None:
    packed = bytearray(pack(b"an event " * 100))
    packed[len(packed) // 3 : len(packed) // 3 + len(noise)] = noise

    try:
        unpacked = unpack(bytes(packed), MIB)
    except (BatchCorrupt, BatchTooLarge):
        unpacked = b""

    assert len(unpacked) <= MIB


def test_gzip_members_and_padding_follow_each_other() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two") + bytes(16)

    assert gunzip(packed, 7) == b"one two"
    with pytest.raises(BatchTooLarge):
        gunzip(packed, 6)


def test_the_limit_counts_all_blocks_of_snappy_together() -> None:
    packed = snappy_encode(bytes(10 * 32_768))

    with pytest.raises(BatchTooLarge):
        unsnap(packed, 9 * 32_768)


def _streamed(compressor: object, size: int) -> bytes:
    for _ in range(size // MIB):
        compressor.compress(bytes(MIB))  # type: ignore[attr-defined]  # cramjam's compressors have no common type
    return bytes(compressor.finish())  # type: ignore[attr-defined]  # as above


def _gzip_bomb(*, honest: bool) -> bytes:
    compressor = zlib.compressobj(6, wbits=31)
    packed = b"".join(compressor.compress(bytes(MIB)) for _ in range(512)) + compressor.flush()
    return packed if honest else packed[:-4] + struct.pack("<I", 1000)


def _snappy_bomb() -> bytes:
    # A length of 512 MiB in front, then a literal of four bytes: nothing but the length is believed.
    return b"\x80\x80\x80\x80\x02" + b"\x0cabcd"


BOMBS: dict[str, tuple[Unpack, Callable[[], bytes], float]] = {
    "zstd": (unzstd, lambda: _streamed(cramjam.zstd.Compressor(3), 512 * MIB), 0.5),
    "lz4": (unlz4, lambda: _streamed(cramjam.lz4.Compressor(), 512 * MIB), 0.5),
    "snappy": (unsnap, _snappy_bomb, 0.5),
    "gzip": (gunzip, lambda: _gzip_bomb(honest=True), 0.5),
    "gzip with a false size": (gunzip, lambda: _gzip_bomb(honest=False), 0.5),
}


@pytest.mark.parametrize(("unpack", "build", "seconds"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_of_512_mib_is_refused_at_once_and_without_its_memory(
    unpack: Unpack, build: Callable[[], bytes], seconds: float
) -> None:
    bomb = build()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()

    with pytest.raises(BatchTooLarge):
        unpack(bomb, LIMIT)

    # Measured: at most 85 ms; to unpack it all takes ten times this limit and 512 MiB.
    assert time.process_time() - began < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 64 * 1024


BATCHES = {"compiled": DefaultRecordBatch, "Python": _DefaultRecordBatchPy}


@pytest.mark.parametrize("batch_class", BATCHES.values(), ids=BATCHES.keys())
@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
def test_aiokafka_itself_refuses_a_batch_over_the_limit(batch_class: type, codec: int) -> None:
    bound_decompression(50_000)
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, MIB)
    for offset in range(6):
        builder.append(offset, 0, None, bytes(10_000), [])
    batch = bytes(builder.build())

    with pytest.raises(BatchTooLarge):
        list(batch_class(batch))

    bound_decompression(LIMIT)
    assert len(list(batch_class(batch))) == 6


@pytest.mark.parametrize("batch_class", [LegacyRecordBatch, _LegacyRecordBatchPy], ids=BATCHES.keys())
def test_the_old_message_format_is_bound_too(batch_class: type) -> None:
    bound_decompression(1000)
    builder = _LegacyRecordBatchBuilderPy(1, 1, MIB)
    builder.append(0, 1, None, bytes(5000))
    message = bytes(builder.build())

    with pytest.raises(BatchTooLarge):
        list(batch_class(memoryview(message), 1))

    bound_decompression(LIMIT)
    assert len(list(batch_class(memoryview(message), 1))) == 1


def test_a_patch_that_aiokafka_does_not_use_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_decompression, "_MODULES", ())

    with pytest.raises(PatchIneffective, match="over the limit was unpacked"):
        bound_decompression(LIMIT)
