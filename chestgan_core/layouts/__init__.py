"""Layouts: what one image is asked to show. From files, from training slices, from a synthetic patient."""
