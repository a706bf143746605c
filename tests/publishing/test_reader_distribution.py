"""`chestgan-reader`: the reader alone, installed into an environment of its own, with and without pyarrow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chestgan_core.errors import NotAvailable
from chestgan_core.publishing.reader import open_set, read_set
from chestgan_core.publishing.reader.set_folder import SetFolder

ROOT = Path(__file__).resolve().parents[2]
READ = """
import json, sys
from pathlib import Path
from chestgan_reader import read_set
images = read_set(sys.argv[1])
try:
    images.levels(len(images))
except IndexError:
    ended = True
found = [[images.label(k), images.levels(k).tolist(), images.hounsfield(k).tolist()] for k in range(3)]
wrong = [name for name in ("torch", "pydantic", "boto3", "chestgan_core") if name in sys.modules]
print(json.dumps({"images": len(images), "found": found, "ended": ended, "wrong": wrong, "version": images.version,
                  "pyarrow": "pyarrow" in sys.modules}))
"""


def installed_bytes(environment: Path) -> int:
    """Of everything but pip and what came with the environment; without compiled modules, which pip writes or not."""
    packages = next((environment / "lib").glob("python3*/site-packages"))
    theirs = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
    return sum(
        path.stat().st_size
        for path in packages.rglob("*")
        if path.is_file()
        and not path.relative_to(packages).parts[0].startswith(theirs)
        and "__pycache__" not in path.parts
    )


@pytest.mark.slow
def test_the_reader_is_small_alone_and_reads_what_the_whole_project_reads(
    ready: SetFolder, tmp_path: Path
) -> None:
    def run(*words: object) -> str:
        return subprocess.run([*map(str, words)], capture_output=True, text=True, check=True).stdout

    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "-w",
        tmp_path,
        ROOT / "distributions/chestgan-reader",
    )
    (wheel,) = tmp_path.glob("chestgan_reader-*.whl")
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin/python"
    expected = read_set(ready.path)
    for extra, max_megabytes in (("", 100), ("[parquet]", 250)):
        run(python, "-m", "pip", "install", f"{wheel}{extra}")
        assert installed_bytes(environment) < max_megabytes * 10**6
        found = json.loads(run(python, "-I", "-c", READ, ready.path))
        assert (found["images"], found["version"], found["ended"], found["wrong"]) == (
            20,
            ready.version,
            True,
            [],
        )
        assert found["pyarrow"] == bool(extra)
        for k, (label, levels, hounsfield) in enumerate(found["found"]):
            assert label == expected.label(k)
            assert levels == expected.levels(k).tolist()
            assert hounsfield == expected.hounsfield(k).tolist()


def test_without_torch_a_dataset_is_refused_with_what_to_install(
    ready: SetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "chestgan_core.publishing.reader.torch_dataset", raising=False)
    with pytest.raises(NotAvailable, match=r"pip install 'chestgan-reader\[torch\]', or use read_set"):
        open_set(ready.path)


def test_labels_are_the_same_from_the_parquet_file_and_from_the_tars(ready: SetFolder) -> None:
    from chestgan_core.publishing.reader.labels import labels_of_parquet, labels_of_tars

    assert list(labels_of_tars(ready)) == list(labels_of_parquet(ready))
