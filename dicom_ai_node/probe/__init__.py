"""The node tries itself: a study with a known answer goes the whole road, and is asked back."""
