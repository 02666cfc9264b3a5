"""Models whose code is this node's own."""
