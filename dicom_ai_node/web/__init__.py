"""The status page and the health checks, on the standard library alone."""
