"""What a model that runs outside gets to see of a patient (PS3.15 E)."""
