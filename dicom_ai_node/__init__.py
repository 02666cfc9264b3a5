"""A DICOM AI node: studies in by C-STORE, Segmentations and Structured Reports out."""

__version__ = "0.1.0"
