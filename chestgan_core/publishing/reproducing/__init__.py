"""The numbers of a published set's card, computed again by whoever has the set and can reach its source."""
