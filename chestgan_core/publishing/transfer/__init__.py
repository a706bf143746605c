"""Sets between folder and store: uploaded, fetched, verified."""
