"""Collections of pictures in class folders: chest CT scan images, chest X-rays."""
