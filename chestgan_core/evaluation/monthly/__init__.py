"""What was committed to the store in one month."""
