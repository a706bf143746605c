"""Networks, one file a family: an experiment in, modules out."""
