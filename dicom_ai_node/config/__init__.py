"""What an administrator and a model author write, validated; `load()` reads it."""
