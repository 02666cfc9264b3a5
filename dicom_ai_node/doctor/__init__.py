"""Is the node well? Checks that change nothing, each with a sentence and the next step."""
