"""Reader studies without a server: one HTML file per reader, and the answers that come back from it as a file."""
