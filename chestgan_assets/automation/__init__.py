"""What starts runs, and tells people: sensors, schedules, health checks, webhook messages."""
