"""docs/conformance.md: a DICOM Conformance Statement (PS3.2), made from the code and its tests."""
