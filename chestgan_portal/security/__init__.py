"""Who asks: logins, roles, the token of forms, limits of rate and size, headers."""
