"""NBIA, the server of TCIA: its lists of series, and series as zips."""
