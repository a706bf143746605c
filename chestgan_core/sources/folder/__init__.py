"""DICOM files and zips in a folder of this machine."""
