"""Where results go. One module a kind; `open.py` chooses."""
