"""Documents that people read: what is in one, and the same as HTML and as PDF."""
