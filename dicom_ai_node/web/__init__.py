"""The web page: needs the extra `web`, and is imported by the role of that name alone."""
