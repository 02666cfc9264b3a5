"""Studies that go from this node for good."""
