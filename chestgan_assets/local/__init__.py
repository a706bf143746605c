"""One machine: `make dev`, `make demo`, and the environment of both."""
