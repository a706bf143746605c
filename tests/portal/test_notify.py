"""Messages of the pipeline at /notify: signed ones are kept once and shown as plain text; all others are refused."""

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select
from starlette.testclient import TestClient

from chestgan_core.errors import SourceRefused, SourceUnreachable
from chestgan_core.local import webhook
from chestgan_core.local.webhook import Webhook, signature
from chestgan_portal.database.notices import notify_administrators
from chestgan_portal.database.tables import Notification, now
from chestgan_portal.machine.notify import KEPT, MAX_MESSAGE
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal

SECRET = "0123456789abcdef-of-tests"
RUN = "8f14e45f-ceea-467f-a0e6-a1d2b3c4d5e6"
PIPELINE = "http://127.0.0.1:3000"
FAILED = {
    "kind": "run-failed", "at": 1795900000.123, "run": RUN, "job": "training_set_job", "partition": "folder",
    "steps": ["training_set"],
}  # fmt: skip
PUBLISHED = {"kind": "set-published", "at": 1795900000.5, "run": RUN, "set": "demo", "images": 1000}
BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def settings(database_address: str) -> Settings:
    return Settings(
        database=database_address,
        own_account=False,
        hosts=("testserver",),
        webhook_secret=SECRET,
        pipeline=PIPELINE,
    )


def kept(portal: Portal) -> list[Notification]:
    with portal.session() as session:
        return list(session.scalars(select(Notification).order_by(Notification.delivery)))


def send(
    client: TestClient, message: Any, *, at: float | None = None, secret: str = SECRET, **headers: str
) -> Response:
    """POST a message as the platform does; headers replace those that it sends."""
    body = json.dumps(message).encode()
    stamp = str(int(time.time() if at is None else at))
    sent = {
        "Content-Type": "application/json",
        "X-Chestgan-Delivery": str(message["id"]),
        "X-Chestgan-Timestamp": stamp,
        "X-Chestgan-Signature": f"sha256={signature(secret, stamp, body)}",
    }
    answer: Response = client.post("/notify", content=body, headers=sent | headers)
    return answer


@BOTH
def test_what_the_platform_delivers_over_http_is_kept_and_shown_with_a_link_to_the_run(
    portal: Portal, live_portal: str, administrator: TestClient
) -> None:
    hook = Webhook(f"{live_portal}/notify", SECRET)
    hook.deliver(f"run-failed-{RUN}-7", {**FAILED, "at": time.time()})
    hook.deliver(f"set-published-{RUN}-8", {**PUBLISHED, "at": time.time()})
    failed, published = kept(portal)
    assert failed.content == {name: FAILED[name] for name in ("run", "job", "partition", "steps")}
    assert published.content == {"run": RUN, "set": "demo", "images": 1000}
    page = administrator.get("/admin/notifications").text
    assert "The job training_set_job failed for folder. Its step training_set failed." in page
    assert "The set demo was published with 1,000 images." in page
    assert f'href="{PIPELINE}/runs/{RUN}"' in page
    assert f'href="{PIPELINE}/assets/synthetic_image_set?view=events&amp;partition=demo"' in page
    assert "Notifications, 2 new" in page


@BOTH
def test_a_second_delivery_is_answered_with_success_and_adds_no_row(portal: Portal, live_portal: str) -> None:
    hook = Webhook(f"{live_portal}/notify", SECRET)
    for _ in range(3):
        hook.deliver("d-1", FAILED)
    assert [row.delivery for row in kept(portal)] == ["d-1"]


@BOTH
def test_one_delivery_on_many_connections_at_once_adds_one_row(portal: Portal, live_portal: str) -> None:
    hook, problems = Webhook(f"{live_portal}/notify", SECRET), []

    def deliver() -> None:
        try:
            hook.deliver("d-1", FAILED)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(kept(portal)) == 1


def test_a_bad_signature_is_refused_over_http_and_not_tried_again(portal: Portal, live_portal: str) -> None:
    with pytest.raises(SourceRefused, match="answered 401"):
        Webhook(f"{live_portal}/notify", "another-secret-of-tests").deliver("d-1", FAILED)
    assert kept(portal) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"at": 600}, "clock"),
        ({"at": -600}, "clock"),
        ({"X-Chestgan-Signature": "sha256=0"}, "signature"),
        ({"X-Chestgan-Timestamp": "now"}, "signature"),
        ({"X-Chestgan-Delivery": "d-2"}, "delivery id"),
    ],
)
def test_what_is_not_signed_now_for_this_delivery_is_refused(
    portal: Portal, client: Callable[[], TestClient], changed: dict[str, Any], said: str
) -> None:
    at = time.time() + changed.pop("at", 0)
    answer = send(client(), {"id": "d-1", **FAILED}, at=at, **changed)
    assert answer.status_code == 401
    assert said in answer.text
    assert kept(portal) == []


def test_nothing_at_all_is_refused(client: Callable[[], TestClient]) -> None:
    assert client().post("/notify").status_code == 401
    assert client().get("/notify").status_code == 405


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "study-paused"},
        {"kind": "other"},
        {"kind": ["run-failed"]},
        {"at": None},
        {"at": 1e300},
        {"at": -1},
        {"run": "../../etc"},
        {"run": "x" * 65},
        {"job": "x" * 401},
        {"job": {"deep": 1}},
        {"steps": ["s"] * 201},
        {"steps": "training_set"},
        {"id": "d 1"},
        {"id": "d" * 201},
        {"id": ""},
    ],
)
def test_a_signed_message_that_is_none_of_ours_is_refused_and_not_repeated(
    portal: Portal, client: Callable[[], TestClient], change: dict[str, Any]
) -> None:
    answer = send(client(), {"id": "d-1", **FAILED, **change})
    assert answer.status_code == 422
    assert len(answer.text) < 200
    assert kept(portal) == []


def test_fields_of_a_later_platform_are_dropped(portal: Portal, client: Callable[[], TestClient]) -> None:
    assert send(client(), {"id": "d-1", **PUBLISHED, "patient": "Doe^John"}).status_code == 201
    (row,) = kept(portal)
    assert set(row.content) == {"run", "set", "images"}


def test_a_message_may_have_so_many_bytes_and_no_more(
    portal: Portal, client: Callable[[], TestClient]
) -> None:
    assert send(client(), {"id": "d-1", **FAILED, "more": "x" * MAX_MESSAGE}).status_code == 413
    assert client().post("/notify", content=b"x" * (2 << 20)).status_code == 413
    assert kept(portal) == []


def test_html_in_a_message_is_text_on_the_page(
    client: Callable[[], TestClient], administrator: TestClient
) -> None:
    """The portal of the thesis put it into the page of every administrator."""
    hurt = "<script>alert(1)</script>"
    message = {**FAILED, "at": time.time(), "job": hurt, "partition": hurt, "steps": [hurt]}
    assert send(client(), {"id": "d-1", **message}).status_code == 201
    assert send(client(), {"id": hurt, **message}).status_code == 201
    published = {
        **PUBLISHED,
        "at": time.time(),
        "set": '"><img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}',
    }
    assert send(client(), {"id": "d-2", **published}).status_code == 201
    page = administrator.get("/admin/notifications").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 6
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page


def test_a_page_of_another_site_cannot_post_here_even_with_a_recorded_message(
    portal: Portal, client: Callable[[], TestClient]
) -> None:
    answer = send(client(), {"id": "d-1", **FAILED}, Origin="https://elsewhere.example")
    assert answer.status_code == 403
    assert kept(portal) == []


def test_without_a_secret_no_message_is_accepted(
    portal: Portal, live_portal: str, monkeypatch: pytest.MonkeyPatch, administrator: TestClient
) -> None:
    monkeypatch.setattr(webhook, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(portal.pages.state, "settings", Settings(database="", own_account=False))
    for secret in (SECRET, ""):
        with pytest.raises(SourceUnreachable, match="answered 503"):
            Webhook(f"{live_portal}/notify", secret).deliver("d-1", FAILED)
    assert kept(portal) == []
    assert "accepts no messages" in administrator.get("/admin/notifications").text


def test_messages_are_shown_for_seven_days_and_kept_for_ninety(
    portal: Portal, client: Callable[[], TestClient], administrator: TestClient
) -> None:
    with portal.session() as session:
        for name, age in (("shown", 6), ("hidden", 8), ("gone", KEPT.days + 1)):
            at = now() - timedelta(days=age)
            content = {"run": "", "job": name, "partition": "", "steps": []}
            session.add(
                Notification(delivery=name, kind="run-failed", at=at, received_at=at, content=content)
            )
        session.commit()
    assert send(client(), {"id": "d-1", **FAILED}).status_code == 201
    assert [row.delivery for row in kept(portal)] == ["d-1", "hidden", "shown"]
    page = administrator.get("/admin/notifications").text
    assert "The job shown failed." in page
    assert "The job hidden" not in page


def test_the_portal_tells_administrators_itself_why_a_study_paused(
    portal: Portal, administrator: TestClient
) -> None:
    with portal.session() as session:
        notify_administrators(
            session, "study-paused", {"study": "first", "because": "Its set <b>was</b> withdrawn."}
        )
        session.commit()
    page = administrator.get("/admin/notifications").text
    assert "The portal paused the study first. Its set &lt;b&gt;was&lt;/b&gt; withdrawn." in page
    assert 'href="/admin/studies/first"' in page
