"""Real Kafka and Redis servers for tests.

Fixtures (`tests/integration/conftest.py`) hand them to tests:

    kafka           shared broker of the session: `.bootstrap`, `.create_topic(name, partitions=4)`
    redis           shared Redis of the session: `.url`, `.url_for(database)`
    redis_url       a logical database of this test's own, empty
    new_topic       `new_topic(partitions=4)` → a fresh topic's name; `topic` is one with 4 partitions
    group_id        a consumer group of this test's own
    source_name     an `EVENTBRIDGE__SOURCE` of this test's own
    kafka_tool      `kafka_tool("kafka-console-producer", "--topic", topic, stdin="…")`: Kafka's own tools
    redis_server    factory: `redis_server(appendonly=True)` → started `RedisServer` of this test's own,
                    which it may kill; closed after the test
    kafka_server    factory: `kafka_server(log_retention_ms=1000)` → started `KafkaServer`, likewise
    protected_kafka a broker of the module with SSL, SASL_PLAINTEXT and SASL_SSL listeners:
                    `.bootstrap_for("SASL_SSL")`, user `bridge`, password `secret`
    kafka_cluster, redis_sentinels, redis_cluster   factories for several servers as one
    certificates    PEM files for servers with TLS: `.authority`, `.certificate`, `.key`

Without fixtures every server is a context manager:

    with RedisServer(appendonly=True) as redis, KafkaServer() as kafka:
        redis.url, kafka.bootstrap, redis.pid, redis.directory
        kafka.create_topic("events", partitions=2)
        kafka.tool("kafka-console-producer", "--topic", "events", stdin="a record\\n")
        redis.command("CONFIG", "SET", "maxmemory", "1mb")
        redis.kill(); redis.start()      # SIGKILL; same port, same directory
        redis.pause(); redis.resume()    # SIGSTOP, SIGCONT
        redis.stop(); redis.restart()    # SIGTERM
        redis.output()                   # what it printed

The verbs block; in a coroutine that must go on meanwhile: `await asyncio.to_thread(kafka.restart)`.
In front of other ports: `AsgiServer` (an application on uvicorn or granian), `web_proxies` (nginx, Caddy).
Apache Kafka's jars come from `scripts/fetch-kafka` (once, by Maven); a broker is up in about 3 s.

`EVENTBRIDGE_TEST_SERVERS` = `containers` | `processes` | `embedded` chooses what the shared servers run
in; unset takes the best that is there, and pytest's header says which. Factories always start processes.
Mark a test `real_kafka` when librdkafka's mock cluster (see `embedded`) cannot do what it needs, and
`real_redis` when Redis 6.2 cannot.
"""

from .asgi import AsgiServer
from .certificates import Certificates
from .kafka import KafkaCluster, KafkaServer
from .kafka_tools import run_tool
from .process import LocalServer, ServerFailed, free_port
from .redis import RedisServer, SentinelServer
from .redis_topologies import RedisCluster, RedisSentinels

__all__ = [
    "AsgiServer",
    "Certificates",
    "KafkaCluster",
    "KafkaServer",
    "LocalServer",
    "RedisCluster",
    "RedisSentinels",
    "RedisServer",
    "SentinelServer",
    "ServerFailed",
    "free_port",
    "run_tool",
]
