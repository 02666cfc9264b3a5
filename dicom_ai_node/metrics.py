"""Numbers that only a process itself knows, kept in files that outlive it."""
