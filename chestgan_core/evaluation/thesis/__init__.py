"""The measures of the thesis system, and its score of 1 to 10."""
