"""The portal's own database: accounts, studies as they run, answers, posts, messages."""
