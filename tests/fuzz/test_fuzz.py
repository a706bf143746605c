"""`make fuzz`: faults that are planted are found, and a seed is always the same input."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz import runner as fuzz_runner
from fuzz.__main__ import KINDS
from fuzz.dicom_mutation import MUTATIONS, elements_of
from fuzz.kind import ACCEPTED, LEFT_OUT, REFUSED
from fuzz.mutation import several
from fuzz.report import Tally
from fuzz.runner import Runner, Verdict
from tests.dicom.ct_files import as_bytes, ct_slice
from tests.fuzz import planted


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("fuzz")
    made = Runner("tests.fuzz.planted", folder, folder / "scratch", folder / "kept")
    yield made
    made.close()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("fault", "result", "problem"),
    [
        ("none", ACCEPTED, ""),
        ("refused", REFUSED, ""),
        ("abort", REFUSED, "killed by SIGABRT"),
        ("exit", REFUSED, "ended with status 3"),
        ("traceback", REFUSED, "KeyError in planted.py"),
        ("escape", ACCEPTED, "prints U+001B"),
        ("printed traceback", ACCEPTED, "prints a traceback"),
        ("unaccounted", LEFT_OUT, "3 files, 2 accounted for"),
        ("memory", ACCEPTED, "took 1"),
        ("hang", REFUSED, "hangs"),
    ],
)
def test_a_planted_fault_is_found_and_the_next_input_is_read(
    runner: Runner, fault: str, result: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted, "make", lambda rng, seeds, folder: {"fault": fault})
    monkeypatch.setattr(fuzz_runner, "MAX_IDLE_SECONDS", 3.0)
    monkeypatch.setattr(fuzz_runner, "MAX_MEMORY_BYTES", 100 * 2**20)
    verdict = runner.run(7)
    assert (verdict.seed, verdict.result) == (7, result)
    assert verdict.problem.startswith(problem) if problem else not verdict.problem
    monkeypatch.setattr(planted, "make", lambda rng, seeds, folder: {"fault": "none"})
    assert runner.run(8).problem == ""


def test_the_table_counts_and_says_how_to_repeat_a_violation() -> None:
    tally = Tally("lists")
    for seed, problem in enumerate(["", "hangs", "hangs", ""]):
        tally.add(Verdict(seed, REFUSED, problem, 1.5, 3 * 2**20, "a line"))
    assert tally.row() == "| lists | 4 | 0 | 0 | 4 | 2 | 1.5 s | 3 MiB |"
    assert "hangs: seed 1, 2" in tally.violations()
    assert "python -m fuzz --kind lists --seed 1 --count 1" in tally.violations()


def test_mutated_dicom_files_are_many_and_those_of_a_seed_are_equal() -> None:
    data = as_bytes(ct_slice())
    assert [one.tag for one in elements_of(data)][-1] == 0x7FE00010
    made = [several(random.Random(f"dicom {seed}"), data, MUTATIONS) for seed in range(60)]
    assert made == [several(random.Random(f"dicom {seed}"), data, MUTATIONS) for seed in range(60)]
    assert len(set(made)) > 50


@pytest.mark.slow
def test_a_few_inputs_of_every_kind_do_no_harm() -> None:
    command = [sys.executable, "-m", "fuzz", "--count", "6", "--no-real-data"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^\| \w+ \| 6 \|", done.stdout, re.MULTILINE)) == len(KINDS)
