"""What a person must hear of: found by pure functions, kept as rows, told to every channel."""
