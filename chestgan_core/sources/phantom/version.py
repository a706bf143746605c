"""The version of the phantoms, which is a part of every UID."""

# Raise it when the same arguments give other pixels: a UID must not have two contents.
VERSION = "1"
