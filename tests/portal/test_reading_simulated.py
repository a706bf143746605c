"""A study through HTTP by readers of known skill gives their area under the curve, within its interval."""

import json

import numpy as np
from sqlalchemy import select
from starlette.testclient import TestClient

from chestgan_core.reading.images.frozen_study import open_study as read_study
from chestgan_core.reading.images.frozen_study import read_key
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Presentation
from tests.portal.clients import Portal, post
from tests.portal.reading_studies import Reading, open_study
from tests.portal.test_reading_administration import wait_for
from tests.reading.simulated_study import CUTS, Skill

READERS = 4
PER_SIDE = 24


def test_readers_of_known_skill_give_the_known_area(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    skill = Skill(separation=1.2, spread=0, shared=0)
    study = open_study(portal, store, images_per_side=PER_SIDE, warm_up=2, repeats=0, max_per_patient=4)
    rows = read_key(store, read_study(store, study.name, study.version)).rows
    scores = np.random.default_rng(5).standard_normal((READERS, len(rows)))
    scores += skill.separation * np.array([row.truth == "synthetic" for row in rows])
    steps = np.digitize(scores, CUTS)
    for number in range(READERS):
        reader = Reading(portal.client(portal.account(f"reader{number}")), study.name)
        reader.join()
        with portal.session() as db:
            items = dict(db.execute(select(Presentation.token, Presentation.item)).all())  # type: ignore[arg-type]
        while reader.token:
            step = int(steps[number, items[reader.token]])
            verdict, confidence = ("synthetic", step - 4) if step >= 5 else ("real", 5 - step)
            reader.answer(rating=10 - step, verdict=verdict, confidence=confidence)
    post(administrator, f"/admin/studies/{study.name}/close")
    wait_for(portal, study.name, "result_version", seconds=120)
    result = json.loads(administrator.get(f"/admin/studies/{study.name}/result/result.json").text)
    area = result["roc"]["area"]
    assert area["interval"]["low"] <= skill.area <= area["interval"]["high"]
    assert area["interval"]["low"] > 0.5
    assert abs(area["value"] - skill.area) < 0.1
    assert result["answers"] == READERS * 2 * PER_SIDE
    assert result["finding"]["told_apart"] == "yes"
