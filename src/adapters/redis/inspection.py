"""Looks at Redis before a bridge runs on it: what would work, and what would not."""

from collections.abc import Mapping, Sequence

from ...application.errors import SinkMisconfigured, SinkUnavailable
from ...application.findings import Finding, Level
from . import keys
from .connect import connect
from .layout import check_layout
from .link import Link
from .rights import CLUSTER_RULES, RULES, refused
from .script import SHARDED_CHANNELS_SINCE
from .server import check_version, read_info, read_version, version_text
from .settings import Durability, RedisSettings


async def inspect(settings: RedisSettings) -> list[Finding]:
    """Look at version, role, memory, durability, rights and layout, with the rights of these settings.

    Leaves nothing behind but two keys that live for a second. Of a Cluster it asks the node that has the
    first shard. Raises nothing: what fails is a finding.
    """
    link = connect(settings)
    findings: list[Finding] = []
    try:
        await _look(link, settings, findings)
    except (SinkUnavailable, SinkMisconfigured) as error:
        needed = f" The user needs: {_rules(link)}." if error.reason == "rights" else ""
        findings.append(Finding(Level.ERROR, "redis", _sentence(str(error)) + needed))
    finally:
        await link.close()
    return findings


async def _look(link: Link, settings: RedisSettings, findings: list[Finding]) -> None:
    home = keys.watermarks(0)
    version = await read_version(link, home)
    try:
        check_version(version, settings.durability)
        said = f"Redis {version_text(version)} has what the bridge needs."
        findings.append(Finding(Level.OK, "redis version", said))
    except SinkMisconfigured as error:
        findings.append(Finding(Level.ERROR, "redis version", _sentence(str(error))))
    if not settings.address.tls:
        said = "The connection is not encrypted; use rediss:// outside of a trusted network."
        findings.append(Finding(Level.WARNING, "redis encryption", said))
    findings.append(_role(await read_info(link, home, "replication"), settings.durability))
    findings.append(_memory(await read_info(link, home, "memory")))
    findings.append(_disk(await read_info(link, home, "persistence"), settings.durability))
    sharded = link.cluster and version >= SHARDED_CHANNELS_SINCE
    findings.append(_rights(await refused(link, settings.durability, sharded_channels=sharded), link))
    findings.append(await _layout(link, settings.shard_count))


def _role(info: Mapping[str, str], durability: Durability) -> Finding:
    if info.get("role") != "master":
        said = "The server is a replica and takes no writes; name the primary, or use redis+sentinel://."
        return Finding(Level.ERROR, "redis role", said)
    replicas = int(info.get("connected_slaves", "0"))
    if durability is Durability.REPLICA and not replicas:
        said = "Durability replica needs a connected replica, and there is none."
        return Finding(Level.ERROR, "redis role", said)
    return Finding(Level.OK, "redis role", f"The server is a primary; connected replicas: {replicas}.")


def _memory(info: Mapping[str, str]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        said = f"maxmemory-policy is {policy}; it must be noeviction, or Redis drops what is needed."
        return Finding(Level.ERROR, "redis memory", said)
    if info.get("maxmemory") == "0":
        said = "maxmemory is not set: a full machine ends the server, instead of its refusing writes."
        return Finding(Level.WARNING, "redis memory", said)
    return Finding(Level.OK, "redis memory", "maxmemory-policy is noeviction.")


def _disk(info: Mapping[str, str], durability: Durability) -> Finding:
    if info.get("aof_enabled") == "1":
        return Finding(Level.OK, "redis persistence", "The append-only file is on.")
    if durability is Durability.DISK:
        said = "Durability disk needs the append-only file: set appendonly yes."
        return Finding(Level.ERROR, "redis persistence", said)
    said = "The append-only file is off: a restart loses what came since the last snapshot, and is repaired."
    return Finding(Level.WARNING, "redis persistence", said)


def _rights(refusals: Sequence[str], link: Link) -> Finding:
    if refusals:
        said = f"Not everything is allowed: {'; '.join(refusals)}. The user needs: {_rules(link)}."
        return Finding(Level.ERROR, "redis rights", said)
    return Finding(Level.OK, "redis rights", "The user may do all that the bridge does.")


def _rules(link: Link) -> str:
    return CLUSTER_RULES if link.cluster else RULES


async def _layout(link: Link, shards: int) -> Finding:
    try:
        there = await check_layout(link, shards)
    except SinkMisconfigured as error:
        return Finding(Level.ERROR, "redis layout", _sentence(str(error)))
    said = (
        f"Streams lie in {shards} shards."
        if there
        else f"Nothing is there yet; it will have {shards} shards."
    )
    return Finding(Level.OK, "redis layout", said)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
