"""Pages of administrators. Each of their deeds is in the audit log."""
