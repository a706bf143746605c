"""Metrics: images or features in, numbers out. Training validates with them, evaluation reports them."""
