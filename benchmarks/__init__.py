"""One script a claim; each prints a table, and JSON with --json."""
