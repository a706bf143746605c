"""One machine: `make dev`, `make demo`, and the installation that both use."""
