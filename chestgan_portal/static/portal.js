// Behaviour that every page shares.
