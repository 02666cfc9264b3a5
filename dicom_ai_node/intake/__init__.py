"""From what has come to jobs: is a study complete, which series is meant, what is to be done."""
