"""The case that a package brings: checked, recorded, and disturbed."""
