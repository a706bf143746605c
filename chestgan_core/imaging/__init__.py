"""Image processing that several folders use: windows, sheets, perceptual hash, lung mask, pretrained networks."""
