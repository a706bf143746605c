"""All experiments at a glance: their newest reports, in tables of those that can be compared."""
