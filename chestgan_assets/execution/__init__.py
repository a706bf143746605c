"""How and where steps run: executor, processes, pods, retries, usage, log handler."""
