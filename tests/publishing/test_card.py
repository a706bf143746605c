"""The card of a set: what must be said is said, nothing more is claimed, and all of it is data that reads back."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from chestgan_core.config.dataset import Dataset
from chestgan_core.config.experiment import Experiment
from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.documents.front_matter import without_front_matter
from chestgan_core.errors import DamagedObject
from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement, RowContext
from chestgan_core.publishing import open_set
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.writing.contents import FileFacts
from chestgan_core.publishing.writing.documents import DOCUMENTS, card_facts, set_documents, summary_of
from chestgan_core.publishing.writing.gathering import source_facts
from chestgan_core.publishing.writing.provenance import AskedCounts, CardFacts, read_provenance
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.weights import LoadedGenerator
from tests.publishing.boxed_sets import write_boxed_set
from tests.publishing.card_facts import ALL_RULES, gathered, metrics_of, rows_of

FACTS = SetFacts(
    "tiny", "tiny", 20, 100, 64, -600.0, 1500.0, "ab" * 32, "A collection of chest CT", "CC BY 4.0"
)
PNG = b"\x89PNG samples"
FILES = {"images-0000.tar": FileFacts(61_440, "1" * 64), "split.csv": FileFacts(300, "2" * 64)}


def documents(given: dict[str, Any], facts: SetFacts = FACTS) -> dict[str, str]:
    """Name -> text of the four documents."""
    card = card_facts(facts, {"family": "spectral", "latent_dim": 8}, given, FILES)
    return {name: data.decode() for name, data in set_documents(card, PNG).items()}


def readme(given: dict[str, Any], facts: SetFacts = FACTS) -> str:
    return " ".join(documents(given, facts)["README.md"].split())


def test_the_card_names_source_window_seeds_model_and_limits(ready: SetFolder) -> None:
    card = " ".join((ready.path / "README.md").read_text(encoding="utf-8").split())
    for said in (
        "generated phantom images",
        "-1350 to 150 HU",
        "Values outside of -1350 to 150 HU are clipped",
        "100 to 119",
        ready.facts.model_sha256,
        "chestgan sets fetch tiny",
        'open_set("tiny")',
        "none is a scan of a person",
        "Diagnosis, clinical decisions",
        "it cannot be ruled out that information about training patients can be recovered",
        "None were measured for this set.",
        "![Samples](samples.png)",
    ):
        assert said in card
    # What nobody recorded is said to be so.
    assert card.count("not recorded") >= 3
    assert "Not judged: no release gate was applied." in card


def test_the_card_has_source_split_recipe_measures_citation_and_checksums() -> None:
    card = readme(gathered())
    for said in (
        "| licence | CC BY 4.0 |",
        "| citation | Li P. Chests. 2020. |",
        "| DOI | https://doi.org/10.7937/CHESTS |",
        "over S3 without an account",
        "| rules: selection | modality CT, min images 20 |",
        "| train | 4 | 5 | 117 |",
        "| adenocarcinoma (A) | 4, 5, 117 | 2, 2, 58 |",
        "Of 180 normalized slices 175 are in the training set.",
        "| by its rules | near-duplicate | 5 |",
        "| before the training set | no-lung | 65 |",
        "resized to 128 x 128 pixels, resized to 64 x 64 pixels, seen through the window -1350 to 150 HU",
        "Dates in the files are shifted.",
        "spectral, latent dim 8",
        "| run | 18e14cfabff4c212 |",
        "chestgan sets whose 000000.png",
        "chestgan sets reproduce tiny",
        "Trained on: Li P. Chests. 2020. doi:10.7937/CHESTS",
        f"| images-0000.tar | 61,440 | {'1' * 64} |",
    ):
        assert said in card, said


def test_a_card_says_how_to_make_an_image_again_only_where_the_weights_are_published() -> None:
    command = "chestgan generate --model tiny --seed 100 --count 1"
    assert command not in readme(gathered())
    weights = {**FILES, "generator.safetensors": FileFacts(9, "3" * 64)}
    card = set_documents(card_facts(FACTS, {}, gathered(), weights), PNG)["README.md"].decode()
    assert command in card
    assert "| weights | in generator.safetensors |" in card


def test_all_that_the_card_says_is_data_from_which_it_can_be_made_again() -> None:
    made = documents(gathered())
    read = read_provenance(made["provenance.json"].encode(), "provenance.json")
    assert set_documents(read, PNG) == {name: text.encode() for name, text in made.items()}
    assert list(made) == list(DOCUMENTS)


def test_seconds_of_a_computation_are_not_published_so_that_the_same_run_gives_the_same_version() -> None:
    slow = gathered()
    for row in slow["metrics"]["rows"]:
        row["seconds"] = 12.5
    assert documents(slow) == documents(gathered())


def test_words_about_privacy_only_deny(ready: SetFolder) -> None:
    cards = [(ready.path / "README.md").read_text(encoding="utf-8"), documents(gathered())["README.md"]]
    for card in cards:
        for claim in ("no patient data", "gdpr", "hipaa", "privacy-safe", "de-identif", "anonymi"):
            assert claim not in card.lower()
        spoken = [
            line for line in card.splitlines() if re.search("privacy|anonym|protect", line, re.IGNORECASE)
        ]
        assert spoken
        for line in spoken:
            assert re.search(r"no proof of privacy|does not prove privacy|^- Claims that", line), line


def test_a_card_shows_measures_with_floor_interval_and_sizes_and_says_when_they_are_coarse() -> None:
    card = documents(gathered(metrics=metrics_of(rows_of({}), "real")))["README.md"]
    assert "| measure | value | 95% interval | real against real |" in card
    assert "| KID (lower is better) | 12.3 ± 1.0 x 1000 | none | 3.1 x 1000 | 50, 50, 40 | net |" in card
    assert "| net | net:abc:1 |" in card
    assert "held-out patients: 1 of 6" in card
    assert "- Few images: 50 on each side. All numbers are coarse" in card
    assert "- Few patients: the real side has 1 patient(s)." in card


@pytest.mark.parametrize("floor", [0.0031, None])
def test_the_card_of_a_set_trained_on_phantoms_calls_them_neither_real_nor_ct_data(
    floor: float | None,
) -> None:
    facts = {**gathered()["source_facts"], "image_kind": "phantom"}
    metrics = metrics_of(rows_of({"memorized fraction": 0.5}, floor), "phantom", None)
    made = documents(gathered(source="phantoms", source_facts=facts, metrics=metrics))
    for page in (made["README.md"], re.sub("<style>.*</style>", "", made["card.html"], flags=re.DOTALL)):
        assert "CT data" not in page
        assert not re.search(r"\breal\b", page, re.IGNORECASE)
        assert "between two groups of phantom patients" in page
        assert "Few patients: the phantom side has 1 patient(s)." in page


NO_RULE_FOR_COPIES = ReleaseRules(max_memorized_above_floor=None)
GOOD = {"coverage": 0.9, "memorized fraction": 0.5}


@pytest.mark.parametrize(
    ("values", "floor", "rules", "tone", "said"),
    [
        (GOOD, 0.003, ALL_RULES, "good", "Passed the release gate"),
        (GOOD, 0.003, NO_RULE_FOR_COPIES, "care", "Passed the rules that could be applied"),
        ({**GOOD, "memorized fraction": 0.95}, 0.003, ALL_RULES, "bad", "Refused by the release gate"),
        ({**GOOD, "memorized fraction": None}, 0.003, ALL_RULES, "bad", "Refused by the release gate"),
        (GOOD, None, ALL_RULES, "bad", "Refused by the release gate"),
        (GOOD, 0.003, None, "care", "Not judged"),
        (dict.fromkeys(row.measure for row in rows_of({})), None, ALL_RULES, "care", "Not measured"),
    ],
)
def test_green_means_that_every_rule_was_there_was_judged_and_passed(
    values: dict[str, float | None], floor: float | None, rules: ReleaseRules | None, tone: str, said: str
) -> None:
    given = metrics_of(rows_of(values, floor), "real", rules)
    page = documents(gathered(metrics=given))["card.html"]
    assert f'<div class="notice {tone}"><strong>{said}</strong>' in page
    assert page.count('class="notice good"') == (tone == "good")


@pytest.mark.parametrize(
    ("value", "rules", "said"),
    [
        (None, ALL_RULES, "was not tested for this set. Not measured: no network."),
        (0.5, NO_RULE_FOR_COPIES, "No rule of the release gate limits this number."),
        (
            0.5,
            ALL_RULES,
            "memorized fraction above its floor is 0.249, at most 0.3 is allowed: passed. The rule holds sets with",
        ),
        (0.95, ALL_RULES, "memorized fraction above its floor is 0.475, at most 0.3 is allowed: failed."),
    ],
)
def test_copies_that_were_not_tested_for_or_not_limited_are_not_good_news(
    value: float | None, rules: ReleaseRules, said: str
) -> None:
    card = readme(gathered(metrics=metrics_of(rows_of({"memorized fraction": value}), "real", rules)))
    assert said in card
    assert "it cannot be ruled out that information about training patients can be recovered" in card
    if value is not None:
        assert f"{value:.0%} of 50 synthetic images were nearer to a training image" in card
        assert "This does not exclude that information about training patients can be recovered." in card


HOSTILE = (
    "Chests\n---\nlicense: mit\n---\n# Free <script>alert(1)</script> ![x](http://e.vil/x.png) | a | `b` {}\\"
)


def test_titles_licences_and_names_of_others_are_text_in_every_document() -> None:
    facts = SetFacts(
        "tiny",
        "tiny",
        20,
        100,
        64,
        -600.0,
        1500.0,
        "ab" * 32,
        HOSTILE,
        HOSTILE,
        "HU",
        ("<b>x</b>", "a|b\n# c"),
    )
    source = {**gathered()["source_facts"], "citation": HOSTILE, "limits": [HOSTILE]}
    made = documents(gathered(source=HOSTILE, source_licence=HOSTILE, source_facts=source), facts)
    page = made["README.md"]
    fields = yaml.safe_load(page[4 : page.index("\n---\n", 4)])
    assert (fields["license"], fields["license_details"]) == ("other", " ".join(HOSTILE.split()))
    body = without_front_matter(page)
    assert body.startswith("# tiny: 20 synthetic images\n")
    assert re.findall("^#+ .*Free|^# c", body, re.MULTILINE) == []
    assert not re.search(r"<script|<b>|(?<!\\)!\[x\]\(http", body)
    assert not re.search("<script|<b>x", made["card.html"])
    croissant = json.loads(made["croissant.json"])
    assert croissant["license"] == HOSTILE
    assert re.fullmatch(r"@misc\{tiny, title = \{[^{}\\\n]*\}\}", croissant["citeAs"])


def test_the_page_needs_nothing_but_itself(ready: SetFolder) -> None:
    page = (ready.path / "card.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []
    assert not re.search(r"<script|<link|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page


def test_what_is_published_about_a_private_dataset_names_no_patient_folder_or_server() -> None:
    dataset = Dataset.model_validate(
        {
            "name": "clinic",
            "title": "CT of a clinic",
            "image_kind": "real",
            "licence": "as the clinic grants it",
            "source": {"kind": "folder", "path_variable": "CLINIC_FOLDER"},
            "private": True,
            "slice_size": 128,
            "selection": {"exclude_patients": ["P0815", "P4711"], "exclude_series": ["S1"]},
        }
    )
    said = json.dumps(vars(source_facts(dataset)))
    for hidden in ("P0815", "P4711", '"S1"', "CLINIC_FOLDER"):
        assert hidden not in said
    assert "2 left out" in said
    mirror = {
        "kind": "idc",
        "collection": "chests",
        "endpoint": "https://mirror.intern",
        "index": "/home/me/x.csv",
    }
    said = json.dumps(
        vars(source_facts(dataset.model_copy(update={"private": False, "source": _source(mirror)})))
    )
    assert "intern" not in said
    assert "/home/me" not in said
    assert "collection chests" in said


def _source(fields: dict[str, Any]) -> Any:
    return Dataset.model_validate(
        {
            "name": "x", "title": "x", "image_kind": "real", "licence": "x", "source": fields, "private": False,
            "slice_size": 128,
        }
    ).source  # fmt: skip


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.update(format=3), "of format 3, which a newer version of chestgan writes"),
        (lambda found: found.update(kind="a poem"), "kind"),
        (lambda found: found.pop("statements"), "statements: Field required"),
        (lambda found: found["provenance"]["training"].update(in_shards=-1), "in_shards"),
        (
            lambda found: found["provenance"]["metrics"]["rows"][0].update(value="good"),
            r"metrics\.rows\.0\.value",
        ),
        (
            lambda found: found["provenance"]["metrics"]["rows"][0].update(measure="beauty"),
            "beauty is not a measure",
        ),
        (lambda found: found["provenance"]["split"]["sides"]["train"].update(patients=True), "patients"),
        (lambda found: found["files"][0].update(name="../x"), r"files\.0\.name"),
        (lambda found: found["set"].update(images=0), "images"),
    ],
)
def test_a_provenance_of_somebody_else_has_its_types_or_is_refused(change: Change, said: str) -> None:
    found = json.loads(documents(gathered())["provenance.json"])
    change(found)
    with pytest.raises(DamagedObject, match=said):
        read_provenance(json.dumps(found).encode(), "provenance.json")


def test_a_provenance_that_is_too_large_or_no_json_is_refused() -> None:
    with pytest.raises(DamagedObject, match="at most 8,388,608 are read"):
        read_provenance(b" " * (2**23 + 1), "provenance.json")
    with pytest.raises(DamagedObject, match="not a JSON object"):
        read_provenance(b"[]", "provenance.json")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_tampered_card_is_found(name: str, ready: SetFolder) -> None:
    file = ready.path / name
    file.write_bytes(file.read_bytes().replace(b"phantom", b"patient"))
    assert verify_set(ready.path).broken.keys() == {name}


def test_a_wrong_provenance_is_refused_before_the_first_image(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path
) -> None:
    with pytest.raises(DamagedObject, match="training"):
        write_set(generator, experiment, 2**31, 0, tmp_path, gathered(training={"size": "large"}))
    assert list(tmp_path.glob("*.tar")) == []


def test_the_summary_of_an_asset_has_verdict_measures_licence_and_how_to_fetch(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path
) -> None:
    write_set(generator, experiment, 2, 0, tmp_path, gathered())
    summary = summary_of(tmp_path, "0123456789abcdef", "s3://bucket/synthetic/tiny")
    for said in (
        "**Passed the release gate.** 7 rules passed.",
        "| KID (lower is better) | 12.3 ± 1.0 x 1000 |",
        "| licence of the training data | CC BY 4.0 |",
        "| version | 0123456789abcdef |",
        "chestgan sets fetch tiny",
        "s3://bucket/synthetic/tiny",
    ):
        assert said in summary


def test_hugging_face_finds_images_and_labels_in_the_folder_by_the_card(
    ready: SetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(str(ready.path), cache_dir=str(tmp_path / "cache"), split="train")
    images = open_set(ready.path)
    assert len(rows) == 20
    # Not what is guessed from the first images, which have no boxes.
    assert rows.features["json"]["boxes"] == datasets.List(datasets.List(datasets.Value("float64")))
    for k in (0, 7, 19):
        assert np.array_equal(np.array(rows[k]["png"]), images.grey(k))
        assert (rows[k]["json"]["seed"], rows[k]["json"]["sha256"]) == (100 + k, images.label(k)["sha256"])


def test_card_facts_say_what_is_missing() -> None:
    with pytest.raises(KeyError, match="source_licence"):
        card_facts(FACTS, {}, {"source": "x"}, {})
    assert isinstance(card_facts(FACTS, {}, {"source": "x", "source_licence": "y"}, {}), CardFacts)


def asked(**more: Any) -> SetFacts:
    return replace(FACTS, conditions=("position", "tumour"), **more)


def test_the_card_of_a_set_with_boxes_says_what_they_are_and_what_was_not_done() -> None:
    card = readme(gathered(), asked(tumour_fraction=0.5))
    for said in (
        "A box is where the generator was asked to draw a tumour. It is a request and no finding",
        "do not take such an image for one without a tumour",
        "drawn from the layouts of training slices and moved at random",
        "No tumour was put into the scan of a person.",
        "arXiv 1901.03597",
        "Putting its tumours, or tumours made in this way, into the scan of a person.",
        "Whether the images show what was asked of them was not measured.",
        "where a tumour was asked for: each image with a chance of 50 %; ",
        "in the others, which were asked for none",
        "A frame is where a tumour was asked for; the published images have none.",
        "object-detection",
    ):
        assert said in card, said
    assert "null where nothing was said" in readme(gathered(), asked())
    assert "was given by whoever made this set" in readme(gathered(), asked(layouts="given"))


def test_the_card_counts_what_was_asked_and_the_counts_add_up(
    asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    made = write_boxed_set(asking, tmp_path / "set", provenance, images=9)
    assert "4 images, 6 tumours in all; 3 images for none; of 2 nothing was said" in (
        made.path / "README.md"
    ).read_text(encoding="utf-8")
    counts = read_provenance((made.path / "provenance.json").read_bytes(), "here").asked
    assert counts == AskedCounts(tumour=4, none=3, unsaid=2, boxes=6)


def test_the_card_of_a_set_without_boxes_says_that_nothing_is_known_about_tumours() -> None:
    card = readme(gathered())
    assert "null: this generator is not told where tumours are, so nothing is known about them" in card
    assert "Nothing is known about tumours in these images" in card
    for absent in (
        "object-detection",
        "No tumour was put into",
        "What was asked of the images",
        "A frame is",
    ):
        assert absent not in card


def test_placement_and_what_a_detector_learns_stand_apart_from_distances() -> None:
    context = RowContext("detector:ab:1", (40, 50), "held-out patients: 2 of 6", "", 0)
    found = {
        "placement": Measurement(0.82, "found with IoU 0.3", floor=FloorValue(0.11, "shuffled boxes", 40)),
        "false tumours": Measurement(None, "not measured: no image without a tumour"),
    }
    rows = [*rows_of({}), *context.rows(lambda: found)]
    texts = documents(gathered(metrics=metrics_of(rows)), asked())
    for text in (texts["README.md"], texts["card.html"]):
        section = text[text.index("What was asked of the images") :]
        measures = section[section.index("Measures") :]
        section = section[: section.index("Measures")]
        assert "placement" in section
        assert "82" in section
        assert "false tumours: not measured: no image without a tumour" in section
        assert "placement (higher" not in measures
    card = card_facts(asked(), {}, gathered(metrics=metrics_of(rows)), FILES)
    assert read_provenance(card.as_bytes(), "here") == card


def test_croissant_has_a_column_for_boxes_and_position_where_they_say_something() -> None:
    def columns(facts: SetFacts) -> set[str]:
        found = json.loads(documents(gathered(), facts)["croissant.json"])
        return {field["name"] for record in found["recordSet"] for field in record["field"]}

    new = {f"{record}/{name}" for record in ("images", "labels") for name in ("boxes", "position")}
    assert columns(asked()) - columns(FACTS) == new
    assert "labels/boxes" not in columns(replace(FACTS, conditions=("position",)))
