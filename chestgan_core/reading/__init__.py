"""Reader studies: can people tell synthetic images from real ones. Design, blinding, answers, analysis; no web."""
