"""Contract suites for whoever writes an adapter."""
