"""Where images come from: the catalog and the raw archive of a dataset, and generated phantoms."""
