"""Where attempts run: on this machine in processes of their own; later elsewhere."""
