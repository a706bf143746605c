"""What the project's web servers share: who may ask, and the files of the store that they show."""
