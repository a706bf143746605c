"""Images in, a metric report out: the sides, the rows, the gate."""
