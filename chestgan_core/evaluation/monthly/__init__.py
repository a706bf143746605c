"""What came into the store in one month."""
