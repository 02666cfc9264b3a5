"""The web page, of the extra `web`."""
