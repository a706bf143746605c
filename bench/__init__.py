"""Measurements against plain code, by hand or `make bench`; never a timed test."""
