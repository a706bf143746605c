"""What starts runs and notifies people: sensors, schedules, health checks, webhook messages."""
