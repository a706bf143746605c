"""The tables. All times are UTC. What identifies a person is in `accounts` and `contact_messages` alone,
besides the usernames in `deeds`, `posts` and `studies`.

The truth about the images of a study is not here: it stays in the study's artefact in the store, and is joined to the
answers when the study is analysed. Whoever reads this database does not learn which images are real.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAME, LINE, TEXT = 128, 400, 20_000  # characters


class Moment(TypeDecorator[datetime]):
    """A time in UTC. SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Always with the zone UTC."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def now() -> datetime:
    """The present time, UTC."""
    return datetime.now(UTC)


class Table(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: JSON}  # noqa: RUF012 (as SQLAlchemy reads it)


class Account(Table):
    """A person. role: reader or administrator. avatar: number of one of the pictures that come with the portal.

    profession, years, specialty: of a reader, by choice. disabled_at: may not log in. language: "" follows the browser.
    """

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(NAME), unique=True)
    name: Mapped[str] = mapped_column(String(LINE))
    email: Mapped[str] = mapped_column(String(LINE), unique=True)
    professional_number: Mapped[str] = mapped_column(String(NAME), default="")
    password_hash: Mapped[str] = mapped_column(String(LINE))
    role: Mapped[str] = mapped_column(String(NAME))
    avatar: Mapped[int] = mapped_column(default=1)
    language: Mapped[str] = mapped_column(String(NAME), default="")
    profession: Mapped[str] = mapped_column(String(NAME), default="")
    years: Mapped[int | None]
    specialty: Mapped[str] = mapped_column(String(NAME), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    disabled_at: Mapped[datetime | None]

    @property
    def is_administrator(self) -> bool:
        """Whether the role is administrator."""
        return self.role == "administrator"


class Login(Table):
    """A browser that is logged in. id: sha256 of the cookie's value, so that a copy of the table logs nobody in.

    browser: `Firefox, Linux`, for the list in which a person finds own logins.
    """

    __tablename__ = "logins"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    browser: Mapped[str] = mapped_column(String(NAME), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class OneTimeLink(Table):
    """An invitation or a password reset. id: sha256 of the link's secret. account_id: of a reset.

    made_by: the administrator.
    """

    __tablename__ = "one_time_links"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(NAME))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    made_by: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(NAME), default="reader")
    note: Mapped[str] = mapped_column(String(LINE), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Attempt(Table):
    """Something that is limited in its rate. subject: sha256 of an address or a name, never the thing itself."""

    __tablename__ = "attempts"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(NAME))
    subject: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (Index("ix_attempts", "kind", "subject", "at"), Index("ix_attempts_at", "at"))


class Deed(Table):
    """The audit log: what an administrator did. administrator: the username, which stays when the account goes."""

    __tablename__ = "deeds"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    administrator: Mapped[str] = mapped_column(String(NAME))
    deed: Mapped[str] = mapped_column(String(NAME))
    subject: Mapped[str] = mapped_column(String(LINE), default="")


class Secret(Table):
    """Secrets of this installation, made at its first start."""

    __tablename__ = "secrets"
    name: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    value: Mapped[str] = mapped_column(String(LINE))


class ContactMessage(Table):
    """What a visitor wrote to the administrators."""

    __tablename__ = "contact_messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LINE))
    email: Mapped[str] = mapped_column(String(LINE))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    read_at: Mapped[datetime | None]


class Post(Table):
    """A news post. text: plain paragraphs, no HTML. author: the username."""

    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(LINE))
    summary: Mapped[str] = mapped_column(String(LINE * 2))
    text: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(NAME))
    published_at: Mapped[datetime] = mapped_column(default=now, index=True)
    edited_at: Mapped[datetime | None]


class Notification(Table):
    """A message of the pipeline. delivery: its id, which makes a second delivery of it harmless."""

    __tablename__ = "notifications"
    delivery: Mapped[str] = mapped_column(String(LINE), primary_key=True)
    kind: Mapped[str] = mapped_column(String(NAME))
    at: Mapped[datetime] = mapped_column(index=True)
    received_at: Mapped[datetime] = mapped_column(default=now)
    content: Mapped[dict[str, Any]]


class Study(Table):
    """A reader study. design: chestgan_core.reading.design.StudyDesign as JSON.

    state: draft, open, paused, closed. paused_because: a sentence, where the portal itself paused it.
    version: of the frozen study in the store (reading/studies/<name>/<version>), empty while it is a draft.
    answers_version: of the answers that were committed when it closed. result_version: of their analysis, empty until
    there is one. released_at: readers see their own result.
    """

    __tablename__ = "studies"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME), unique=True)
    design: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(NAME), default="draft")
    paused_because: Mapped[str] = mapped_column(String(LINE), default="")
    version: Mapped[str] = mapped_column(String(NAME), default="")
    answers_version: Mapped[str] = mapped_column(String(NAME), default="")
    result_version: Mapped[str] = mapped_column(String(NAME), default="")
    created_by: Mapped[str] = mapped_column(String(NAME))
    created_at: Mapped[datetime] = mapped_column(default=now)
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]


class Participation(Table):
    """A reader in a study. account_id: null once the account was deleted; the answers stay, unlinked.

    reader: what the analysis calls the reader, `r` and 8 random hex digits, new for each study. seed: of the order.
    """

    __tablename__ = "participations"
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    reader: Mapped[str] = mapped_column(String(NAME), unique=True)
    seed: Mapped[int]
    profession: Mapped[str] = mapped_column(String(NAME), default="")
    years: Mapped[int | None]
    specialty: Mapped[str] = mapped_column(String(NAME), default="")
    joined_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("study_id", "account_id"),)


class Presentation(Table):
    """One image of one reader's order. token: its opaque name in addresses, random. item: number in the study.

    part: warm-up, main or repeat. position: from 0. shown_at: when it was first sent.
    """

    __tablename__ = "presentations"
    id: Mapped[int] = mapped_column(primary_key=True)
    participation_id: Mapped[int] = mapped_column(ForeignKey("participations.id"))
    position: Mapped[int]
    item: Mapped[int]
    part: Mapped[str] = mapped_column(String(NAME))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    shown_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("participation_id", "position"),)


class Answer(Table):
    """The one and final answer to a presentation; the primary key makes a second one impossible.

    rating: 1 to 10. verdict: real or synthetic. confidence: 1 to 5. tumour_x, tumour_y: of the click, 0 to 1 of the
    image's width and height, origin top left; tumour_seen False: none seen. conspicuity: 1 to 5. seconds: with the
    page in sight, as the browser measured. page: version of the rating page.
    """

    __tablename__ = "answers"
    presentation_id: Mapped[int] = mapped_column(ForeignKey("presentations.id"), primary_key=True)
    rating: Mapped[int | None]
    verdict: Mapped[str | None] = mapped_column(String(NAME))
    confidence: Mapped[int | None]
    tumour_seen: Mapped[bool | None]
    tumour_x: Mapped[float | None]
    tumour_y: Mapped[float | None]
    conspicuity: Mapped[int | None]
    seconds: Mapped[float]
    answered_at: Mapped[datetime] = mapped_column(default=now)
    page: Mapped[str] = mapped_column(String(NAME))
