"""From images to a metric report: the sides of the comparison, the rows, the gate."""
