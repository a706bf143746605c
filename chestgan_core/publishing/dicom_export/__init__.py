"""Synthetic sets as DICOM: CT images that say what they are, structured reports of their boxes, and both read back."""
