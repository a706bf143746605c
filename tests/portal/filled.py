"""A portal in which every page has something to show: accounts, studies in every state, answers, posts, messages.

In: a portal, a store, and the name and version of a published set with real images beside it. Everything is as a user
makes it, or as the pipeline would. Persons and numbers are invented.
"""

from datetime import timedelta
from random import Random

from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.frozen_study import freeze_study
from chestgan_core.store.store import Store
from chestgan_portal.accounts.links import allow_reset, invite
from chestgan_portal.administration.deeds import note_deed
from chestgan_portal.administration.notifications import notify_administrators
from chestgan_portal.database.tables import Account, ContactMessage, Notification, Post, Study, now
from tests.portal.clients import Portal
from tests.portal.reading_studies import Reading, answers_of

READERS = (
    ("ana.ruiz", "Ana Ruiz", "radiologist", 14, "thoracic radiology"),
    ("tom.becker", "Tom Becker", "resident", 2, "radiology"),
    ("mei.lin", "Mei Lin", "radiologist", 7, "general radiology"),
)
# Title, state, and whether the tumour is asked for.
STUDIES = {
    "realism-1": ("Do these slices look real? First reading", "open", False),
    "realism-2": ("Second reading", "open", False),
    "tumours": ("Where is the tumour?", "open", True),
    "halted": ("A study that is paused", "paused", False),
    "later": ("A study that is not ready", "draft", False),
}


def fill(portal: Portal, store: Store, set_name: str, version: str) -> dict[str, Account]:
    """Fill it; returns the accounts by username: `lopez` is an administrator, the others are READERS."""
    accounts = {"lopez": portal.account("lopez", "administrator", name="Carmen López")}
    for username, name, profession, years, specialty in READERS:
        accounts[username] = portal.account(
            username, name=name, profession=profession, years=years, specialty=specialty
        )
    with portal.session() as db:
        _posts(db)
        _messages(db)
        _notifications(db)
        _studies(db, store, set_name, version)
        for deed, subject in (
            ("open study", "realism-1"),
            ("invite", "reader"),
            ("add post", "The portal is open"),
        ):
            note_deed(db, accounts["lopez"], deed, subject)
        db.commit()
    for seed, username in enumerate(("ana.ruiz", "tom.becker", "mei.lin")):
        _read(portal, accounts[username], "realism-1", Random(seed), 1000)
    _read(portal, accounts["ana.ruiz"], "realism-2", Random(9), 4)
    _read(portal, accounts["ana.ruiz"], "tumours", Random(9), 0)
    with portal.session() as db:
        spread_answers(db, db.scalars(select(Study).where(Study.name == "realism-1")).one())
        db.commit()
    return accounts


def _studies(db: Session, store: Store, set_name: str, version: str) -> None:
    for name, (title, state, tumour) in STUDIES.items():
        design = StudyDesign(
            name=name, title=title, set_name=set_name, set_version=version, images_per_side=8, warm_up=2,
            ask_tumour=tumour,
        )  # fmt: skip
        study = Study(name=name, design=design.model_dump(mode="json"), state=state, created_by="lopez")
        if state != "draft":
            study.version, study.opened_at = freeze_study(store, design).version, now() - timedelta(days=3)
        if state == "paused":
            study.paused_because = f"The set {set_name} was withdrawn."
        db.add(study)


def _read(portal: Portal, account: Account, study: str, random: Random, most: int) -> None:
    """Join and answer, at most so many images."""
    reading = Reading(portal.client(account), study)
    reading.join(profile="yes")
    for _ in range(most):
        if not reading.token:
            break
        reading.answer(
            rating=random.randint(2, 9),
            verdict=random.choice(("real", "synthetic")),
            confidence=random.randint(1, 5),
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


def _notifications(db: Session) -> None:
    for days, (kind, content) in enumerate(
        (
            ("set-published", {"set": "demo", "version": "20261127-abcdef", "images": 500}),
            (
                "run-failed",
                {"job": "trained_model_job", "partition": "demo", "steps": ["train"], "run": "0f3c" * 8},
            ),
        )
    ):
        db.add(
            Notification(delivery=f"test-{days}", kind=kind, at=now() - timedelta(days=days), content=content)
        )
    notify_administrators(db, "study-paused", {"study": "halted", "because": "The set demo was withdrawn."})


def one_time_links(portal: Portal) -> list[str]:
    """Paths of a new invitation and of a reset of a password."""
    with portal.session() as db:
        invitation = invite(db, "reader", "for the second reading", timedelta(days=7))
        reset = allow_reset(db, db.scalars(select(Account).where(Account.username == "mei.lin")).one())
        db.commit()
    return [f"/invitation/{invitation}", f"/reset/{reset}"]
