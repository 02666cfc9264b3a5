"""MONAI bundles, read as data."""
