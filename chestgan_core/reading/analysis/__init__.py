"""From answers and key to a result: agreement, ROC, drift, groups, tumours, and the finding in words."""
