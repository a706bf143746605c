"""What the README and the docs say is run: Python as it stands, commands as far as they go without data."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chestgan_core.cli.main import main, parser
from chestgan_core.config.dataset import Dataset
from chestgan_core.config.experiment import load_experiment, parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.uploading import publish_set
from chestgan_core.publishing.writing import write_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.weights import load_generator, save_generator
from chestgan_core.tuning.space import SearchSpace

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.splitlines()
        if line.startswith("chestgan ")
    }
)
SNIPPETS = [(page.name, snippet) for page in PAGES for snippet in blocks(page, "python")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_docs_is_understood(command: str) -> None:
    parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("snippet", [block for page in PAGES for block in blocks(page, "yaml")])
def test_every_experiment_dataset_and_space_in_the_docs_is_valid(snippet: str) -> None:
    told = yaml.safe_load(snippet)
    if "parameters" in told:
        assert SearchSpace.model_validate({**told, "name": "documented"})
    elif "source" in told:
        assert Dataset.model_validate({**told, "name": "documented"})
    else:
        assert parse_experiment(told, "documented", "docs")


@pytest.fixture(scope="module")
def place(embedded: EmbeddedStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the set `demo` fetched into demo-set, as the README does it."""
    folder = tmp_path_factory.mktemp("reader")
    experiment = load_experiment("demo")
    save_generator(folder, build_generator(experiment), experiment)
    facts = {"source": "generated phantom images", "source_licence": "none needed", "image_kind": "phantom"}
    ready = write_set(load_generator(folder), experiment, 20, 0, folder / "written", facts)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in embedded.environment.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        publish_set(Store.open(), ready)
        for command in COMMANDS:
            if command.startswith("chestgan sets"):
                assert main(shlex.split(command)[1:]) == 0, command
    return folder


@pytest.mark.parametrize(("page", "snippet"), SNIPPETS)
def test_the_python_in_the_docs_runs(page: str, snippet: str, place: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", snippet], cwd=place, env=os.environ, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
