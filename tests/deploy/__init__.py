"""What is in deploy/: units, image, manifests, the offline archive, and where they come from."""
