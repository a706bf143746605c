"""Collections of images (PNG, JPEG) in class folders: slices of chest CT, chest X-rays."""
