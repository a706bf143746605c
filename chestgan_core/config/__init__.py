"""What people write as YAML: experiments, training plans, datasets, and the files that are shipped."""
