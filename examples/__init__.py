"""How the demonstration networks of the catalogue were made, and how they were scored."""
