"""The job table and its neighbours: all SQL of the node is in this package."""
