"""Programs are started against the shared servers, under names of the test's own."""

import pytest

from tests.servers.choice import SharedKafka


@pytest.fixture
def settings(kafka: SharedKafka, redis_url: str, topic: str, group_id: str) -> dict[str, str]:
    return {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA__TOPICS": topic,
        "KAFKA__GROUP_ID": group_id,
        "REDIS__URL": redis_url,
    }
