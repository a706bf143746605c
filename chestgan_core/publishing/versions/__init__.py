"""The versions of sets in a store: index, withdrawal."""
