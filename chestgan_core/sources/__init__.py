"""Where images come from: one package per provider, the catalog and the raw archive of a dataset, tumour boxes."""
