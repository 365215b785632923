"""Settings, the container and the programs."""
