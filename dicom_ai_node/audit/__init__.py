"""Who did what with whose images: DICOM audit messages (PS3.15 A.5)."""
