"""Taking back what a recalled model produced: rejection notes to every peer that has it."""
