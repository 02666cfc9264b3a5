"""Which series of a study a model is meant for: candidates, rules, and the choice, all pure."""
