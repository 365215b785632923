"""EventBridge: domain events from Kafka to the browsers of the users they concern."""
