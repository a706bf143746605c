"""Generators and discriminators, one module per family: an experiment in, networks out."""
