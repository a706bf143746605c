"""Training: slices in, a generator out."""
