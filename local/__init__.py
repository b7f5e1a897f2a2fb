"""What this repository needs for itself."""
