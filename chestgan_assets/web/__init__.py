"""Dagster's webserver behind a check of who asks, and the files that its pages name."""
