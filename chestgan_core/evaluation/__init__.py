"""How good the synthetic images are: features, distances, manifolds, the report and its figures."""
