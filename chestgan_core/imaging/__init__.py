"""Image processing that several rooms use: windows, sheets, perceptual hash, lung mask, pretrained networks."""
