"""Series to normalized slices, splits by patient and training sets."""
