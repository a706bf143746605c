"""What the README and the docs say is run: Python as it stands, commands as far as they go without data."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chestgan_core.cli.main import main, parser
from chestgan_core.config.conditions import Conditions, TumourCondition
from chestgan_core.config.dataset import Dataset
from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.dicom_export.export import export_dicom
from chestgan_core.publishing.dicom_export.reading import read_exported
from chestgan_core.publishing.forms.convert import convert_set
from chestgan_core.publishing.forms.source import read_form
from chestgan_core.publishing.opening import open_set
from chestgan_core.publishing.reader.torch_dataset import SyntheticSet
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.listing import list_sets, show_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator
from chestgan_core.tuning.space import SearchSpace
from tests.layouts.chests import table_of_chests

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_every_link_and_picture_of_a_page_beside_the_site_is_there(page: str) -> None:
    """Those inside of docs/ are looked after by `make docs`."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_reference_shows_examples_of_docstrings_as_code() -> None:
    """Its reader knows the section Examples; Example would be a box with running text."""
    singular = re.compile(r"^\s+Example:$", re.MULTILINE)
    files = (ROOT / "chestgan_core").rglob("*.py")
    assert [path.name for path in files if singular.search(path.read_text(encoding="utf-8"))] == []


COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.splitlines()
        if line.startswith("chestgan ")
    }
)
# The proof that a blur wins PSNR takes 19 s; tests/metrics/test_similarity.py has it on fewer slices. MONAI and a
# classifier take some seconds each; tests/publishing/test_other_libraries.py reads the same files. A synthetic patient
# is made in tests/publishing/test_subjects.py.
SLOW = ("write_phantoms", "from monai", "cross_entropy", "generate_subjects")
SNIPPETS = [
    pytest.param(
        page.name, snippet, marks=[pytest.mark.slow] if any(word in snippet for word in SLOW) else []
    )
    for page in PAGES
    for snippet in blocks(page, "python")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_docs_is_understood(command: str) -> None:
    parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("snippet", [block for page in PAGES for block in blocks(page, "yaml")])
def test_every_experiment_dataset_and_space_in_the_docs_is_valid(snippet: str) -> None:
    fields = yaml.safe_load(snippet)
    if "parameters" in fields:
        assert SearchSpace.model_validate({**fields, "name": "documented"})
    elif "source" in fields:
        assert Dataset.model_validate({**fields, "name": "documented"})
    else:
        assert parse_experiment(fields, "documented", "docs")


# They need an archive, or a set that was measured on images of its source; tests of their own run them.
ELSEWHERE = ("chestgan sets send", "chestgan sets reproduce")


def first_what_others_need(command: str) -> tuple[int, str]:
    """Order of commands: sets are fetched before they are converted, and converted before their forms are."""
    words = shlex.split(command)
    kinds = {"fetch": 0, "convert": 1 if "demo-set" in words else 2}
    return kinds.get(words[2], 3), command


def save_random_generator(experiment: Experiment, folder: Path) -> LoadedGenerator:
    folder.mkdir()
    layouts = table_of_chests() if experiment.conditions else None
    save_generator(folder, build_generator(experiment), experiment, layouts=layouts)
    return load_generator(folder)


@pytest.fixture(scope="module")
def place(embedded: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory, phantom_folder: Path) -> Path:
    """A folder with the sets that the pages name, fetched and converted as they do it, and slices of phantoms."""
    folder = tmp_path_factory.mktemp("reader")
    told = Conditions(position=True, tumour=TumourCondition())
    experiment = load_experiment("demo").model_copy(update={"conditions": told})
    generator = save_random_generator(experiment, folder / "model")
    conditional = load_experiment("lung-dcgan-64-classes")
    narrow = conditional.network.model_copy(update={"generator_width": 8})
    of_classes = save_random_generator(
        conditional.model_copy(update={"network": narrow}), folder / "of-classes"
    )
    facts = {"source": "generated phantom images", "source_licence": "none needed", "image_kind": "phantom"}
    ready = [
        write_set(generator, experiment, 20, 0, folder / "written", facts, tumour_fraction=0.5),
        write_set(of_classes, conditional, 30, 0, folder / "written-classes", facts),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in embedded.environment.items():
            patch.setenv(name, value)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        for one in ready:
            publish_set(Store.open(), one)
        of_sets = [
            command
            for command in COMMANDS
            if command.startswith("chestgan sets") and not command.startswith(ELSEWHERE)
        ]
        normalize = f"chestgan normalize {phantom_folder} --public-ids --out slices.safetensors"
        for command in (*sorted(of_sets, key=first_what_others_need), normalize):
            assert main(shlex.split(command)[1:]) == 0, command
    return folder


@pytest.mark.parametrize(("page", "snippet"), SNIPPETS)
def test_the_python_in_the_docs_runs(page: str, snippet: str, place: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", snippet], cwd=place, env=os.environ, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "documented",
    [
        open_set,
        SyntheticSet,
        list_sets,
        show_set,
        fetch_set,
        verify_set,
        write_set,
        publish_set,
        export_dicom,
        read_exported,
        convert_set,
        read_form,
    ],
    ids=lambda documented: documented.__name__,
)
def test_the_examples_in_docstrings_give_what_they_show(
    documented: object,
    place: Path,
    embedded: EmbeddedStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place)
    found = doctest.DocTestFinder(recurse=False).find(documented, documented.__name__, globs={})  # type: ignore[attr-defined]
    [results] = [doctest.DocTestRunner().run(one) for one in found]
    assert results.attempted > 0
    assert results.failed == 0, capsys.readouterr().out
