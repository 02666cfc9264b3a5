"""`demo`: a real head MR goes through a real node, beside a small throw-away archive."""
