"""A synthetic set written into a folder: images, labels, card, manifest."""
