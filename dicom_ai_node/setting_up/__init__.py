"""`setup`: five questions, and a configuration that works."""
