"""The object store: S3 and nothing else, on a laptop too. Objects, artefacts, keys, the embedded server."""
