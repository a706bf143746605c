"""`chestgan ...`: every step without Dagster."""
