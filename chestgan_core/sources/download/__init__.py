"""Downloads from slow, overloaded or failing servers: HTTP, retries, bandwidth, spool."""
