"""The images of a reader study: real ones, the choice among them, how only pixels can tell, and each reader's order."""
