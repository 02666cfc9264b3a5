"""What a person must hear of: found by looking, kept as rows, told by webhook and e-mail."""
