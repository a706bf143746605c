"""Generated chest CT of phantom patients, from shapes to DICOM files. All but source.py is imported late, as it needs
numpy and pydicom.
"""
