"""The root of the errors that EventBridge raises on purpose."""


class EventBridgeError(Exception):
    """Something EventBridge names: its text is a sentence for whoever operates or embeds it."""
