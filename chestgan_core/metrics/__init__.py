"""Measures: images in, features and distances between sets of them out. Training selects by them, evaluation
reports.
"""
