"""How a package comes into the store, and its weights from where they are published."""
