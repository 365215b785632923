"""One package per client library."""
