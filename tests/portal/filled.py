"""A portal in which every page has something to show: accounts, studies in every state, answers, posts, messages.

In: a portal, a store, and the name and version of a published set with real images beside it. Everything is as a user
makes it, or as the pipeline would. Persons and numbers are invented.
"""

from datetime import timedelta
from pathlib import Path
from random import Random

from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_core.evaluation.comparison.comparison import compare
from chestgan_core.evaluation.comparison.page import commit_comparison
from chestgan_core.evaluation.monthly.page import report_month
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import freeze_study, open_study, read_key
from chestgan_core.store.store import Store
from chestgan_core.training.run import train_experiment
from chestgan_portal.accounts.links import allow_reset, invite
from chestgan_portal.administration.study_state import change_state, reporting
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.notices import notify_administrators
from chestgan_portal.database.tables import (
    Account,
    ContactMessage,
    Notification,
    Post,
    Presentation,
    Study,
    now,
)
from tests.pipeline.stages import Stages, tiny
from tests.portal import public_store
from tests.portal.clients import Portal
from tests.portal.reading_studies import Reading, answers_of

WIDER = {"generator_width": 8, "discriminator_width": 8, "latent_dim": 8}

# Username, name, profession, years, specialty; and of 100 images, how many the reader tells rightly.
READERS = (
    ("ana.ruiz", "Ana Ruiz", "radiologist", 14, "thoracic radiology", 80),
    ("tom.becker", "Tom Becker", "resident", 2, "general radiology", 58),
    ("mei.lin", "Mei Lin", "radiologist", 7, "general radiology", 68),
)
# Title, state, and whether the tumour is asked for.
STUDIES = {
    "realism-1": ("Do these slices look real? First reading", "open", False),
    "realism-2": ("Second reading", "open", False),
    "tumours": ("Third reading, with the tumour", "open", True),
    "halted": ("A study that is paused", "paused", False),
    "later": ("A study that is not ready", "draft", False),
}


def fill(
    portal: Portal, store: Store, set_name: str, version: str, images_per_side: int = 8
) -> dict[str, Account]:
    """Fill it; returns the accounts by username: `lopez` is an administrator, the others are READERS."""
    accounts = {"lopez": portal.account("lopez", "administrator", name="Carmen López")}
    for username, name, profession, years, specialty, _skill in READERS:
        accounts[username] = portal.account(
            username, name=name, profession=profession, years=years, specialty=specialty
        )
    with portal.session() as db:
        _posts(db)
        _messages(db)
        _notifications(db, set_name, version)
        _studies(db, store, set_name, version, images_per_side)
        for deed, subject in (("invite reader", "Mei Lin"), ("add post", "The portal is open")):
            note_deed(db, accounts["lopez"], deed, subject)
        db.commit()
    for seed, reader in enumerate(READERS):
        _read(portal, store, accounts[reader[0]], "realism-1", Random(seed), reader[-1])
    _read(portal, store, accounts["ana.ruiz"], "realism-2", Random(9), 80, most=4)
    _read(portal, store, accounts["ana.ruiz"], "tumours", Random(9), 80, most=0)
    Reading(portal.client(accounts["tom.becker"]), "realism-2").join()
    _close(portal, store, accounts["lopez"], "realism-1")
    return accounts


def _studies(db: Session, store: Store, set_name: str, version: str, images_per_side: int) -> None:
    for name, (title, state, tumour) in STUDIES.items():
        design = StudyDesign(
            name=name, title=title, set_name=set_name, set_version=version, images_per_side=images_per_side,
            warm_up=2, ask_tumour=tumour,
        )  # fmt: skip
        study = Study(name=name, design=design.model_dump(mode="json"), state=state, created_by="lopez")
        if state != "draft":
            study.version, study.opened_at = freeze_study(store, design).version, now() - timedelta(days=3)
        if state == "paused":
            study.paused_because = f"The set {set_name} was withdrawn."
        db.add(study)


def _close(portal: Portal, store: Store, administrator: Account, name: str) -> None:
    """Close it, compute its result, and show each reader his own."""
    with portal.session() as db:
        study = db.scalars(select(Study).where(Study.name == name)).one()
        spread_answers(db, study)
        change_state(db, study, administrator, ("open",), "closed", closed_at=now(), released_at=now())
    reporting(portal.engine, lambda: store, study)()


def _read(
    portal: Portal, store: Store, account: Account, study: str, random: Random, skill: int, most: int = 1000
) -> None:
    """Join and answer, at most so many images; of 100, `skill` are told rightly."""
    with portal.session() as db:
        found = db.scalars(select(Study).where(Study.name == study)).one()
    key = {row.item: row.truth for row in read_key(store, open_study(store, study, found.version)).rows}
    reading = Reading(portal.client(account), study)
    reading.join(profile="yes")
    for _ in range(most):
        if not reading.token:
            break
        with portal.session() as db:
            shown = db.scalars(select(Presentation).where(Presentation.token == reading.token)).one()
        real = (key[shown.item] == "real") == (random.randrange(100) < skill)
        reading.answer(
            rating=min(10, max(1, round(random.gauss(7 if real else 4, 1.6)))),
            verdict="real" if real else "synthetic",
            confidence=random.randint(2, 5),
        )


def spread_answers(db: Session, study: Study, days: int = 3) -> None:
    """As if people had given them over some days, so that charts of time have something to show."""
    rows = answers_of(db, study)
    for place, (_participation, _presentation, answer) in enumerate(rows):
        answer.answered_at = now() - timedelta(days=days * (1 - place / len(rows)))
        answer.seconds = 4 + (place * 7919) % 23


def _posts(db: Session) -> None:
    texts = {
        "The portal is open": "Readers can register, and judge images in a study.\n\nHere we write what is new.",
        "A second reading begins": "It asks where the tumour is, too.\n\nThank you to all who took part in the first.",
    }
    for days, (title, text) in enumerate(texts.items()):
        db.add(
            Post(
                title=title, summary=text.partition("\n")[0], text=text, author="lopez",
                published_at=now() - timedelta(days=9 - days),
            )
        )  # fmt: skip


def _messages(db: Session) -> None:
    for name, text, read in (
        (
            "Ingrid Solberg",
            "May we use the set for teaching?\n\nWe would show twenty slices to students.",
            False,
        ),
        ("Paul Adeyemi", "The link in the card works now, thank you.", True),
    ):
        email = f"{name.split()[0].lower()}@hospital.example"
        db.add(ContactMessage(name=name, email=email, text=text, read_at=now() if read else None))


def _notifications(db: Session, set_name: str, version: str) -> None:
    for days, (kind, content) in enumerate(
        (
            ("set-published", {"set": set_name, "version": version, "images": 500}),
            (
                "run-failed",
                {"job": "trained_model_job", "partition": "demo", "steps": ["train"], "run": "0f3c" * 8},
            ),
        )
    ):
        db.add(
            Notification(delivery=f"test-{days}", kind=kind, at=now() - timedelta(days=days), content=content)
        )
    notify_administrators(
        db, "study-paused", {"study": "halted", "because": f"The set {set_name} was withdrawn."}
    )


def one_time_links(portal: Portal) -> list[str]:
    """Paths of a new invitation and of a reset of a password."""
    with portal.session() as db:
        maker = db.scalars(select(Account).where(Account.username == "lopez")).one()
        invitation = invite(db, maker, "reader", "for the second reading", timedelta(days=7))
        reset = allow_reset(db, maker, db.scalars(select(Account).where(Account.username == "mei.lin")).one())
        db.commit()
    return [f"/invitation/{invitation}", f"/reset/{reset}"]


def pipeline_results(store: Store, stages: Stages, folder: Path) -> None:
    """What the pages of results show: two experiments with reports, compared, of a month; tuning; the X-ray annex."""
    stages.bring("reported", store)
    wider = tiny().model_copy(update={"name": "wider", "network": tiny().network.model_copy(update=WIDER)})
    train_experiment(store, wider, "cpu", folder / "train")
    report_experiment(store, wider, "cpu", folder / "report")
    for part in ("comparison", "month"):
        (folder / part).mkdir()
    found = compare(store, ["tiny", "wider"])
    commit_comparison(store, "architecture", "Comparison of architectures", found, folder / "comparison")
    report_month(store, f"{now():%Y-%m}", folder / "month")
    public_store.commit_study(store)
    public_store.commit_xray_annex(store)
    sets = public_store.publish_all(store)
    public_store.commit_run(store, sets["second"])
