"""Which series trained the generator of a set and which were held out, as a file that travels with the set."""
