"""The version of the phantoms, which is part of every UID."""

# Increment it when the same arguments give other pixels: a UID must not have two contents.
VERSION = "1"
