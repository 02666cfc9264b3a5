"""Networks as packages describe them: MONAI transforms before, windows, and outputs after."""
