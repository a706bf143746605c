"""Accounts: registration, login, profile, one-time links."""
