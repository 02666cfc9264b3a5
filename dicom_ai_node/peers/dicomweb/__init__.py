"""A DICOMweb service as a peer (PS3.18): stored to by STOW-RS, asked by QIDO-RS and WADO-RS."""
