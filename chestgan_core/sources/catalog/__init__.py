"""Which series a dataset has, which of them are fetched, and why the others are not."""
