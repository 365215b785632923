"""In-memory source, sink and dead letters."""
