"""This machine: local folder, scratch, atomic files, environment, progress, log lines, webhook. Knows no images."""
