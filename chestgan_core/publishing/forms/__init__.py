"""A synthetic set in other forms: PNG, tars, NPZ, Hounsfield units, DICOM; one file each, and from each into each."""
