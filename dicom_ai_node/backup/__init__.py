"""Backups of a node, made while it runs, checked, and put back."""
