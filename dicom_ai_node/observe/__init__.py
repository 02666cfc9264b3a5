"""What monitoring reads: metrics and health, on the standard library alone."""
