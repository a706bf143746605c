"""Reader studies in the browser. The study itself (design, blinding, analysis) is chestgan_core/reading/."""
