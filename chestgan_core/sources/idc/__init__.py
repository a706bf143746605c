"""The Imaging Data Commons: its index of series, and their files in a public S3 bucket."""
