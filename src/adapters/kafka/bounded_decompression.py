"""Decompression of Kafka batches with a bound, in place of aiokafka's, which has none.

16 KB of zstd can unpack to 512 MB. aiokafka looks its four decoders up by name in four modules (two
formats, each compiled and in Python), so these names are what is replaced.
"""

import importlib
import mmap
import struct
import zlib
from collections.abc import Callable
from typing import Final

import cramjam
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

Decoder = Callable[[bytes], bytes]

_MODULES: Final = (
    "aiokafka.record.default_records",
    "aiokafka.record.legacy_records",
    "aiokafka.record._crecords.default_records",
    "aiokafka.record._crecords.legacy_records",
)
_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_TRAILER_BYTES: Final = 8
_CODECS: Final = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_TRIAL_LIMIT: Final = 1024


class BatchTooLarge(ValueError):
    """A batch unpacks to more than is allowed; it was not unpacked."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the batch unpacks to more than {limit} bytes")


class BatchCorrupt(ValueError):
    """A batch cannot be unpacked: it ends early or is not what it says."""


class PatchIneffective(RuntimeError):
    """aiokafka does not use our decoders: its modules are not what they were."""


def gunzip(payload: bytes, limit: int) -> bytes:
    """Unpack gzip members one after the other, `limit` bytes in all.

    Raises `BatchTooLarge` and `BatchCorrupt`. An honest trailer tells the size before any work is done.
    """
    # Copied from where it lies in the batch: zlib takes any buffer, slices of it are made below.
    rest = bytes(payload)
    if len(rest) > _GZIP_TRAILER_BYTES and struct.unpack_from("<I", rest, len(rest) - 4)[0] > limit:
        raise BatchTooLarge(limit)
    parts: list[bytes] = []
    left = limit
    while rest:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(rest, left + 1)
        except zlib.error as error:
            raise BatchCorrupt(str(error)) from None
        if len(part) > left:
            raise BatchTooLarge(limit)
        if not member.eof:
            raise BatchCorrupt("gzip data ends early")
        parts.append(part)
        left -= len(part)
        # Java's reader, too, takes zeros behind the last member for padding.
        rest = member.unused_data.lstrip(b"\x00")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unsnap(payload: bytes, limit: int) -> bytes:
    """Unpack snappy, raw or in the blocks of xerial's framing; each says beforehand how large it is."""
    view = memoryview(payload)
    if bytes(view[:8]) != _XERIAL_MAGIC or len(view) < _XERIAL_HEADER_BYTES:
        return _unsnap_block(view, limit, limit)
    parts: list[bytes] = []
    left, position = limit, _XERIAL_HEADER_BYTES
    while position < len(view):
        if position + 4 > len(view):
            raise BatchCorrupt("snappy data ends early")
        (size,) = struct.unpack_from(">i", view, position)
        position += 4
        if size <= 0 or position + size > len(view):
            raise BatchCorrupt("a snappy block is larger than the data")
        part = _unsnap_block(view[position : position + size], left, limit)
        parts.append(part)
        left -= len(part)
        position += size
    return b"".join(parts)


def _unsnap_block(block: memoryview, left: int, limit: int) -> bytes:
    data = bytes(block)
    try:
        if cramjam.snappy.decompress_raw_len(data) > left:
            raise BatchTooLarge(limit)
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise BatchCorrupt(str(error)) from None


def unlz4(payload: bytes, limit: int) -> bytes:
    """Unpack LZ4 frames into a space of fixed size."""
    return _unpack_into(cramjam.lz4.decompress_into, payload, limit)


def unzstd(payload: bytes, limit: int) -> bytes:
    """Unpack zstd frames into a space of fixed size."""
    return _unpack_into(cramjam.zstd.decompress_into, payload, limit)


def _unpack_into(unpack: Callable[[bytes, mmap.mmap], int], payload: bytes, limit: int) -> bytes:
    # Anonymous memory becomes real only where it is written to, so a small batch costs only its own size.
    with mmap.mmap(-1, limit + 1) as space:
        try:
            size = unpack(payload, space)
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                raise BatchTooLarge(limit) from None
            raise BatchCorrupt(str(error)) from None
        if size > limit:
            raise BatchTooLarge(limit)
        return space[:size]


def bound_decompression(limit_bytes: int) -> None:
    """Make aiokafka refuse batches that unpack to more than `limit_bytes`, in the whole process.

    May be called again; the last limit holds. Raises `PatchIneffective` where aiokafka goes on without
    the bound: it is tried with each codec before this returns.
    """
    _install(_TRIAL_LIMIT)
    try:
        for name in _CODECS:
            _try(name)
    finally:
        _install(limit_bytes)


def _install(limit: int) -> None:
    decoders: dict[str, Decoder] = {
        "gzip_decode": lambda payload: gunzip(payload, limit),
        "snappy_decode": lambda payload: unsnap(payload, limit),
        "lz4_decode": lambda payload: unlz4(payload, limit),
        "zstd_decode": lambda payload: unzstd(payload, limit),
    }
    for path in _MODULES:
        try:
            module = importlib.import_module(path)
        except ImportError:  # aiokafka without its compiled half
            continue
        for name, decoder in decoders.items():
            if hasattr(module, name):
                setattr(module, name, decoder)


def _try(name: str) -> None:
    small, large = bytes(16), bytes(64 * _TRIAL_LIMIT)
    try:
        (record,) = DefaultRecordBatch(_batch(name, small))
    except BatchTooLarge as error:
        raise PatchIneffective(f"{name}: a small batch was refused") from error
    if record.value != small:
        raise PatchIneffective(f"{name}: a small batch came out wrong")
    try:
        list(DefaultRecordBatch(_batch(name, large)))
    except BatchTooLarge:
        return
    raise PatchIneffective(f"{name}: a batch over the limit was unpacked")


def _batch(name: str, value: bytes) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=_CODECS[name],
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    builder.append(0, 0, None, value, [])
    return bytes(builder.build())
