"""The newest reports of several experiments beside each other."""
