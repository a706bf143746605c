"""Jobs that a person launches: the steps of the chain for one partition, backfills of selected patients."""
