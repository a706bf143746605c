"""This machine: home, scratch, files that appear whole, progress, log lines, webhook. Knows no images and no store."""
