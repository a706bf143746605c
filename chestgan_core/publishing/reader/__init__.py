"""A synthetic set on disk, read with NumPy and Pillow; where there is torch, as a torch Dataset too."""
