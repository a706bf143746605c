"""A result for people and other programs: document, charts, tables."""
