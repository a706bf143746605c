"""Jobs that a person starts: the chain with one partition, backfills of chosen patients."""
