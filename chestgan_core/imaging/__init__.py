"""What several rooms do to pixels: windows, pictures, perceptual hash, lung mask, pretrained networks."""
