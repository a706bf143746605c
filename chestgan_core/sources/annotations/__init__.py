"""Tumour boxes: where experts saw the tumour, on which slice."""
