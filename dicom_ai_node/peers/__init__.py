"""Where results go. One module a kind; `open_peer()` in `peer.py` chooses."""
