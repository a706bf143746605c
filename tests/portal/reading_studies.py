"""A published set with its real images, a study of them that is open, and readers who answer.

study = open_study(portal, store)
reader = Reading(portal.client(portal.account("ana")), study.name)
reader.join()
reader.answer(rating=7)
"""

import atexit
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from httpx import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from chestgan_core.config.experiment import parse_experiment
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import freeze_study
from chestgan_core.reading.images.real_images import Collected, RealRow, commit_real_images
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Account, Answer, Participation, Presentation, Study, now
from tests.portal.clients import Portal, post

IMAGES = 48  # of the published set
_IMAGE = re.compile(r"/reading/images/([A-Za-z0-9_-]+)\.png")


@cache
def written_set() -> SetFolder:
    """A set of a small generator with random weights; once per process."""
    import torch

    from chestgan_core.networks.registry import build_generator
    from chestgan_core.publishing.writing.set_writer import write_set
    from chestgan_core.training.weights import load_generator, save_generator

    folder = Path(tempfile.mkdtemp(prefix="chestgan-test-set-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fields = {
        "dataset": "phantom",
        "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
        "training": {"images": 100},
    }
    experiment = parse_experiment(fields, "tiny", "a test")
    torch.manual_seed(0)
    (folder / "model").mkdir()
    save_generator(folder / "model", build_generator(experiment), experiment)
    provenance = {"source": "generated phantom images", "source_licence": "none needed", "run": "r1"}
    return write_set(load_generator(folder / "model"), experiment, IMAGES, 100, folder / "set", provenance)


def publish(store: Store, patients: int = 12, per_patient: int = 4) -> tuple[str, str]:
    """Publish the set, with real images beside it that are as noisy as its own are smooth. Returns name and version."""
    ready = written_set()
    published = publish_set(store, ready)
    facts, random = ready.facts, np.random.default_rng(3)
    rows = tuple(
        RealRow(image_class="", patient=patient, level=step / per_patient)
        for patient in range(1, patients + 1)
        for step in range(per_patient)
    )
    pictures = random.integers(0, 256, (len(rows), facts.resolution, facts.resolution), np.uint8)
    found = Collected("r1", "t1", facts.window, len(rows), rows, pictures)
    commit_real_images(store, facts.name, published.version, found)
    return facts.name, published.version


def design_of_set(set_name: str, set_version: str, /, **fields: Any) -> StudyDesign:
    """A short study of it."""
    values = {
        "name": "short",
        "title": "A short study",
        "set_name": set_name,
        "set_version": set_version,
        "images_per_side": 6,
        "repeats": 0.25,
        "warm_up": 2,
        "seed": 1,
    }
    return StudyDesign.model_validate(values | fields)


def open_study(portal: Portal, store: Store, **fields: Any) -> Study:
    """Publish, freeze, and open it in the portal."""
    design = design_of_set(*publish(store), **fields)
    frozen = freeze_study(store, design)
    with portal.session() as db:
        study = Study(
            name=design.name,
            design=design.model_dump(mode="json"),
            state="open",
            version=frozen.version,
            created_by="boss",
            opened_at=now(),
        )
        db.add(study)
        db.commit()
        return study


@dataclass
class Reading:
    """A reader in a study, as a browser without scripts. page: what the last answer of the portal was."""

    client: TestClient
    study: str
    page: Response = field(init=False)

    def join(self, **fields: str) -> Response:
        """Take part, and pass the announcement."""
        self.page = post(self.client, f"/studies/{self.study}/join", {"agreed": "yes", **fields})
        return self.begin()

    def begin(self) -> Response:
        """The present image, whichever part begins with it."""
        path = f"/studies/{self.study}/reading"
        self.page = self.client.get(path)
        for part in ("warm-up", "main"):
            if f"begin={part}" in self.page.text:
                self.page = self.client.get(path, params={"begin": part})
        return self.page

    @property
    def token(self) -> str:
        """Of the present image; "" where the page has none."""
        found = _IMAGE.search(self.page.text)
        return found[1] if found else ""

    def look(self) -> Response:
        """Load the present image."""
        return self.client.get(f"/reading/images/{self.token}.png")

    def send(self, fields: Mapping[str, Any], token: str = "", **options: Any) -> Response:
        """Send a form as it is."""
        values = {"token": token or self.token, **fields}
        return post(self.client, f"/studies/{self.study}/answers", values, **options)

    def answer(self, **fields: Any) -> Response:
        """Look at the present image, judge it, and go to the next."""
        self.look()
        self.page = self.send({"rating": 5, "verdict": "real", "confidence": 3, "seconds": "0.01", **fields})
        if not self.token:
            self.begin()
        return self.page


def answers_of(db: Session, study: Study) -> list[tuple[Participation, Presentation, Answer]]:
    """All of a study, in the order of each reader."""
    rows = db.execute(
        select(Participation, Presentation, Answer)
        .join(Presentation, Presentation.participation_id == Participation.id)
        .join(Answer, Answer.presentation_id == Presentation.id)
        .where(Participation.study_id == study.id)
        .order_by(Participation.id, Presentation.position)
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def logged_in_readers(portal: Portal, many: int) -> list[str]:
    """Cookies of so many logins, each of an account of its own. No password is hashed: that is meant to take long."""
    with portal.session() as db:
        accounts = [
            Account(
                username=f"reader{number}",
                name=f"Reader {number}",
                email=f"reader{number}@hospital.example",
                password_hash="-",
                role="reader",
            )
            for number in range(many)
        ]
        db.add_all(accounts)
        db.commit()
    return [portal.cookie_of(account) for account in accounts]
