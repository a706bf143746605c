"""What programs ask: health and readiness, and the notifications of the pipeline."""
