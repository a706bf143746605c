"""The measures of the thesis system, and its score from 1 to 10."""
