"""Names of OpenTelemetry's messaging conventions (status: development, so they are kept in one place).

Source: OpenTelemetry semantic conventions 1.45, messaging spans and Kafka.
"""

SYSTEM = "messaging.system"
KAFKA = "kafka"
SSE = "sse"
"""Server-Sent Events; the conventions have no name for them."""
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
PROCESS = "process"
DELIVER = "deliver"
"""What the gateway calls its operation; a name of ours, of the type `send`."""
SEND = "send"
DESTINATION = "messaging.destination.name"
DESTINATION_PARTITION = "messaging.destination.partition.id"
CONSUMER_GROUP = "messaging.consumer.group.name"
KAFKA_OFFSET = "messaging.kafka.offset"
BATCH_MESSAGE_COUNT = "messaging.batch.message_count"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
ERROR_TYPE = "error.type"

OWN_PREFIX = "eventbridge."
"""Before what the conventions have no name for."""
