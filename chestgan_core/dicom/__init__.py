"""DICOM in: files and archives, headers, series, stored pixels, Hounsfield units."""
