"""Apache Kafka's jars, and its own command-line tools run as processes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

LIBS = Path(__file__).parents[2] / ".cache" / "kafka" / "libs"
"""Where scripts/fetch-kafka puts the jars."""

JVM_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]

TOOLS = {
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-acls": "kafka.admin.AclCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
}
"""The names of the scripts in Kafka's distribution, and the classes behind them."""


def missing_for_kafka() -> str | None:
    """Say what Apache Kafka lacks on this machine, None where nothing does."""
    if not shutil.which("java"):
        return "Java (openjdk-17-jre-headless)"
    if not any(LIBS.glob("kafka_*.jar")):
        return "Apache Kafka's jars (scripts/fetch-kafka)"
    return None


def java(main_class: str, *arguments: str, options: list[str] | None = None) -> list[str]:
    """Return the command line that runs one of Kafka's classes."""
    return ["java", *JVM_OPTIONS, *(options or []), "-cp", f"{LIBS}/*", main_class, *arguments]


def run_tool(tool: str, *arguments: str, stdin: str = "", timeout_seconds: float = 60) -> str:
    """Run one of Kafka's tools, a name of `TOOLS`, and return what it printed to standard output.

    Raises `RuntimeError` with what it said where it ends with another code than 0.
    """
    done = subprocess.run(
        java(TOOLS[tool], *arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{tool} ended with code {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
