"""What phantom.py is made of, from shapes to DICOM files. Needs numpy and pydicom, so it is imported late."""
