"""The series of a dataset: which of them are fetched, and why the others are not."""
