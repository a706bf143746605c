"""What each rule of the release gate says: the asset checks that block a publication (evaluation/scoring/gate.py)."""

RELEASE_CHECKS = {
    "finite": "Every number of the report is finite.",
    "distance": "KID is near enough to that between real patients (release.max_kid_above_floor).",
    "coverage": "Real images are covered as far as real patients cover each other (release.min_coverage_of_floor).",
    "diversity": "Images differ from each other as real ones do (release.min_diversity_of_real).",
    "memorization": "Images are not nearer to training patients than other patients are "
    "(release.max_memorized_above_floor).",
    "attacks": "No attack tells training patients from others by the images (release.max_attack_auc).",
    "plausibility": "Hounsfield units or grey levels are distributed like real ones (release.grey_levels).",
    "placement": "A detector finds tumours where they were asked for (release.min_placement_of_ceiling).",
    "detection_utility": "A detector learns from the images to find real tumours "
    "(release.min_detection_utility_of_ceiling).",
}
# Those of experiments that place tumours (conditions.tumour); of others there is nothing that they could judge.
TUMOUR_CHECKS = ("placement", "detection_utility")
