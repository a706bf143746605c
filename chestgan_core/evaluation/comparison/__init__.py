"""The newest reports of several experiments side by side."""
