"""Reception: pynetdicom at the edge, bytes to the spool, rows to the database."""
