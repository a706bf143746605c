"""Pages that need no account: what this is, published sets, results, news, contact."""
