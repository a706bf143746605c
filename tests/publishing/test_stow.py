"""Synthetic DICOM files to an archive: all of them arrive in a real one, once, whatever breaks on the way."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from chestgan_core.cli.main import main
from chestgan_core.cli.sets_send import OTHERS as OPTIONS
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.series import read_series
from chestgan_core.errors import BadInput, SourceRefused, SourceUnreachable
from chestgan_core.local.files import file_lock
from chestgan_core.publishing.dicom_export.export import write_images
from chestgan_core.publishing.dicom_export.reading import read_exported
from chestgan_core.publishing.dicom_export.stow import send_folder
from chestgan_core.publishing.dicom_export.stow_answer import in_words, settled_by
from chestgan_core.publishing.dicom_export.stow_files import OTHERS, outgoing_files
from chestgan_core.publishing.dicom_export.stow_request import ALLOW_HTTP, PASSWORD, TOKEN, USER, Archive
from chestgan_core.publishing.reader.levels import sha256_of_levels
from tests.dicom.ct_files import as_bytes, ct_slice
from tests.publishing.form_images import facts, items
from tests.standins import orthanc as standin
from tests.standins.certificates import own_authority
from tests.standins.orthanc import Orthanc, orthanc
from tests.standins.stow import Planned, Reply, StowServer, dicom_json

IMAGES = 9
HTML = Reply(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "1")
    for name in (USER, PASSWORD, TOKEN, ALLOW_HTTP):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of Orthanc."""
    monkeypatch.setenv(USER, standin.USER)
    monkeypatch.setenv(PASSWORD, standin.PASSWORD)


def exported(
    folder: Path,
    images: int = IMAGES,
    boxes: tuple[int, ...] = (0,),
    version: str = "0123456789abcdef",
    resolution: int = 8,
) -> Path:
    """A set as DICOM, with reports where images have boxes."""
    folder.mkdir(parents=True)
    of = facts(images=images, bits=16, resolution=resolution)
    for _ in write_images(folder, of, version, items(of, boxes)):
        pass
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine images without boxes."""
    return exported(tmp_path / "dicom")


def uids_in(folder: Path) -> dict[str, Path]:
    return {str(pydicom.dcmread(path).SOPInstanceUID): path for path in sorted(folder.glob("*.dcm"))}


# An archive of everybody


def test_an_exported_set_arrives_in_orthanc_as_it_is_and_is_refused_when_it_is_fed_back(
    archive, account, tmp_path, capsys
):
    sent = exported(tmp_path / "dicom", boxes=(1, 0, 2), version="1" * 16)
    reports = list(sent.glob("*-boxes.dcm"))
    assert len(reports) == 6
    assert main(["sets", "send", str(sent), archive.url, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["files"], answer["sent"], answer["failed"]) == (IMAGES + 6, IMAGES + 6, [])
    there = archive.instances()
    assert there.keys() >= uids_in(sent).keys()
    back = tmp_path / "back"
    back.mkdir()
    for uid, path in uids_in(sent).items():
        (back / path.name).write_bytes(archive.file(there[uid]))
        assert pydicom.dcmread(back / path.name).SyntheticData == "YES"
    for path in sorted(sent.glob("[0-9]*[0-9].dcm")):
        before, after = read_exported(path), read_exported(back / path.name)
        assert np.array_equal(before.levels, after.levels)
        assert sha256_of_levels(after.levels, 16) == before.label["sha256"]
    reading = read_series([back])
    assert (reading.series, reading.left_out) == ((), {LeftOut.SYNTHETIC: IMAGES + 6})


def test_the_pixels_come_back_by_wado_rs(archive, account, tmp_path):
    sent = exported(tmp_path / "dicom", 1, version="2" * 16)
    send_folder(sent, archive.url)
    header = pydicom.dcmread(sent / "000000.dcm")
    path = f"/dicom-web/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
    path += f"/instances/{header.SOPInstanceUID}/frames/1"
    body = archive.get(path, 'multipart/related; type="application/octet-stream"')
    assert header.PixelData.strip(b"\0") in body


def test_the_same_command_again_sends_nothing_and_anew_sends_all_without_harm(archive, account, tmp_path):
    sent = exported(tmp_path / "dicom", version="3" * 16)
    assert send_folder(sent, archive.url).sent == IMAGES
    count = len(archive.instances())
    again = send_folder(sent, archive.url)
    assert (again.sent, again.before, again.bytes) == (0, IMAGES, 0)
    anew = send_folder(sent, archive.url, anew=True)
    assert (anew.sent, anew.before) == (IMAGES, 0)
    assert len(archive.instances()) == count


def test_an_archive_that_is_killed_in_the_middle_gets_the_rest_by_the_same_command(account, tmp_path):
    sent = exported(tmp_path / "dicom", 60)
    with orthanc(tmp_path / "orthanc") as archive:

        def kill() -> None:
            while not any(path.stat().st_size > 700 for path in sent.glob(".sent-*")):
                time.sleep(0.002)
            archive.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(SourceUnreachable, match=r"\d+ of 60 files are there\); .*the same command"):
            send_folder(sent, archive.url, batch_bytes=1)  # one file a request
        killer.join()
        archive.start()
        done = send_folder(sent, archive.url)
        assert (done.sent + done.before, done.failed) == (60, [])
        assert 5 < done.before < 60
        assert archive.instances().keys() == uids_in(sent).keys()


def test_an_archive_that_is_back_within_the_patience_gets_all_in_one_call(account, tmp_path, monkeypatch):
    monkeypatch.setenv("CHESTGAN_DOWNLOAD_PATIENCE", "30")
    sent = exported(tmp_path / "dicom", 60)
    with orthanc(tmp_path / "orthanc") as archive:

        def restart() -> None:
            while not any(path.stat().st_size > 700 for path in sent.glob(".sent-*")):
                time.sleep(0.002)
            archive.kill()
            archive.start()

        restarter = threading.Thread(target=restart)
        restarter.start()
        done = send_folder(sent, archive.url, batch_bytes=1)
        restarter.join()
        assert (done.sent, done.failed) == (60, [])
        assert archive.instances().keys() == uids_in(sent).keys()


def test_a_wrong_password_is_said_and_never_shown(archive, folder, monkeypatch, caplog, capsys):
    monkeypatch.setenv(USER, standin.USER)
    monkeypatch.setenv(PASSWORD, "falsch-und-lang")
    assert main(["sets", "send", str(folder), archive.url]) == 1
    said = caplog.text + "".join(capsys.readouterr())
    assert "denies access to the given account or token (401) (0 of 9 files are there)" in said
    assert "falsch" not in said
    assert "ZmFsc2No" not in said


def test_an_address_where_nothing_takes_files_is_said(archive, account, folder):
    with pytest.raises(SourceRefused, match=r"takes no files by STOW-RS at this address \(404\)"):
        send_folder(folder, archive.url.replace("dicom-web", "elsewhere"))


# Archives that answer badly


def test_instances_that_the_archive_refuses_are_named_with_its_reason_and_sent_next_time(folder, caplog):
    uids = list(uids_in(folder))
    reasons = {uids[2]: 0xA700, uids[5]: 0xC123, uids[7]: "no number"}

    def some(came: list[str]) -> Reply | None:
        failed = {uid: why for uid, why in reasons.items() if uid in came}
        if not failed:
            return None
        stored = [uid for uid in came if uid not in failed]
        server.stored |= dict.fromkeys(stored, b"")
        return Reply(202, dicom_json(stored, failed))

    with StowServer(always=some) as server:
        assert main(["sets", "send", str(folder), server.url]) == 1
        said = caplog.text
        assert "6 files sent" in said
        assert "000002.dcm: 0xA700, out of resources, such as disk space" in said
        assert "000005.dcm: 0xC123, it cannot understand the file" in said
        assert "000007.dcm: without a reason" in said
        server.always = None
        done = send_folder(folder, server.url)
        assert (done.sent, done.before, done.exit_status) == (3, 6, 0)
        assert server.stored.keys() == set(uids)


def test_an_archive_that_stores_nothing_says_why_for_every_file(folder):
    def none(came: list[str]) -> Reply:
        return Reply(409, dicom_json(failed=dict.fromkeys(came, 0x0110)))

    with StowServer(always=none) as server:
        done = send_folder(folder, server.url)
    assert [one.reason for one in done.failed] == ["0x0110, processing failure"] * IMAGES
    assert done.exit_status == 1


def test_a_request_that_is_too_large_goes_again_in_halves(folder):
    most = 3 * (folder / "000000.dcm").stat().st_size + 1000

    def limited(came: list[str]) -> Reply | None:
        return Reply(413) if server.sizes[-1] > most else None

    with StowServer(always=limited) as server:
        done = send_folder(folder, server.url)
    assert (done.sent, done.failed, len(server.stored)) == (IMAGES, [], IMAGES)
    assert server.requests == [1, 8, 4, 2, 2, 4, 2, 2]


def test_a_file_that_is_too_large_alone_has_failed_and_the_others_are_there(folder):
    large = folder / "000004.dcm"
    header = pydicom.dcmread(large)
    header.ImageComments = "x" * 10_000
    header.save_as(large)
    with StowServer(always=lambda came: Reply(413) if server.sizes[-1] > 9000 else None) as server:
        done = send_folder(folder, server.url, batch_bytes=8000)
    assert [(one.name, one.reason) for one in done.failed] == [
        ("000004.dcm", "the server takes no request of this size (413)")
    ]
    assert len(server.stored) == IMAGES - 1


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_archive_is_asked_again_when_it_says_so(folder, status):
    with StowServer(None, Reply(status, headers={"Retry-After": "0.6"})) as server:
        started = time.monotonic()
        assert send_folder(folder, server.url).sent == IMAGES
        assert time.monotonic() - started > 0.6
    assert server.requests == [1, 8, 8]


def test_a_file_that_the_archive_cannot_read_costs_no_other_one(folder):
    """As Orthanc does it: 400, and in the answer what it stored all the same."""
    bad = list(uids_in(folder))[4]

    def unreadable(came: list[str]) -> Reply | None:
        if bad not in came:
            return None
        stored = came[: came.index(bad)]
        server.stored |= dict.fromkeys(stored, b"")
        return Reply(400, dicom_json(stored))

    with StowServer(always=unreadable) as server:
        done = send_folder(folder, server.url)
    assert (done.sent, len(server.stored)) == (IMAGES - 1, IMAGES - 1)
    assert [(one.name, one.reason) for one in done.failed] == [
        ("000004.dcm", "the server cannot read the file or the request (400)")
    ]


UNUSABLE = {
    "a page to log in": HTML,
    "XML": Reply(200, b'<?xml version="1.0"?><NativeDicomModel/>', {"Content-Type": "application/dicom+xml"}),
    "nothing": Reply(200),
    "no object": Reply(200, b"[1, 2]"),
    "half of an answer": Reply(200, dicom_json(["1.2.3"])[:40]),
    "an object without instances": Reply(202, b"{}"),
    "other instances": Reply(200, dicom_json(["1.2.3"])),
    "wrong types": Reply(200, b'{"00081199": {"Value": [1, {"00081155": {"Value": [7]}}]}, "00081198": 3}'),
    "too deep": Reply(200, b"[" * 100_000),
    "an error of the server": Reply(500, b"oops"),
    "not found, with a page": Reply(418, HTML.body),
}


@pytest.mark.parametrize("answer", UNUSABLE)
def test_what_an_answer_does_not_name_counts_as_not_stored_and_goes_again(folder, answer):
    with StowServer(always=UNUSABLE[answer]) as server:
        done = send_folder(folder, server.url)
        assert (done.sent, len(done.failed), done.exit_status) == (0, IMAGES, 1)
        server.always = None
        done = send_folder(folder, server.url)
        assert (done.sent, done.before, done.failed) == (IMAGES, 0, [])
        assert server.stored.keys() == uids_in(folder).keys()


def test_after_ten_files_without_a_usable_answer_no_more_are_sent(tmp_path):
    folder = exported(tmp_path / "dicom", 30)
    with (
        StowServer(always=HTML) as server,
        pytest.raises(
            SourceRefused,
            match=r"settled none of 10 .*text/html\) is not DICOM JSON.*0 of 30 files are there",
        ),
    ):
        send_folder(folder, server.url)
    assert server.requests == [1] * 10


def test_one_unusable_answer_in_between_loses_nothing(folder):
    with StowServer(None, HTML) as server:
        done = send_folder(folder, server.url)
    assert (done.sent, done.failed) == (IMAGES, [])
    assert server.requests == [1, 8, 4, 4]


def test_an_answer_without_an_end_is_not_read_to_its_end(folder):
    with (
        StowServer(always=Reply(200, b" " * (17 << 20))) as server,
        pytest.raises(SourceRefused, match="its answer has more than 16 MiB"),
    ):
        send_folder(folder, server.url)


BREAKS: dict[str, Planned] = {
    "while the files are sent": Reply(read=3000, mute=True),
    "before the answer": Reply(read=10**9, mute=True),
    "in the middle of the answer, with the files stored": Reply(
        200, dicom_json(["1.2"] * 50), store=True, cut=True
    ),
}


@pytest.mark.parametrize("where", BREAKS)
@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_connection_that_breaks_loses_nothing_and_doubles_nothing(where, first, tmp_path):
    folder = exported(tmp_path / "dicom", resolution=512)  # more bytes than a socket holds
    with StowServer(*[None] * first, BREAKS[where]) as server:
        done = send_folder(folder, server.url)
    assert (done.sent, done.failed) == (IMAGES, [])
    assert {uid: path.read_bytes() for uid, path in uids_in(folder).items()} == server.stored


@pytest.mark.parametrize(("status", "cause"), [(401, "denies access"), (404, "takes no files")])
def test_an_answer_that_comes_before_the_files_are_read_is_heard(status, cause, tmp_path):
    folder = exported(tmp_path / "dicom", resolution=512)
    with StowServer(None, Reply(status, read=1)) as server, pytest.raises(SourceRefused, match=cause):
        send_folder(folder, server.url)


def test_a_file_at_which_the_connection_always_breaks_costs_no_other_one(folder):
    bad = list(uids_in(folder))[3]
    with StowServer(always=lambda came: Reply(500, b"x" * 9, cut=True) if bad in came else None) as server:
        done = send_folder(folder, server.url)
    assert [(one.name, one.reason) for one in done.failed] == [
        ("000003.dcm", "the connection broke while it was sent, 3 times")
    ]
    assert len(server.stored) == IMAGES - 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed_with_the_password_in_hand(status, folder, account):
    with StowServer() as other, StowServer(always=Reply(status, headers={"Location": other.url})) as server:
        with pytest.raises(SourceRefused, match="leads to another address"):
            send_folder(folder, server.url)
        assert not other.requests


def test_access_that_ends_in_the_middle_is_said_with_what_is_there(folder):
    with (
        StowServer(None, Reply(401)) as server,
        pytest.raises(
            SourceRefused,
            match=r"denies access to anybody without an account \(401\) \(1 of 9 files are there\)",
        ),
    ):
        send_folder(folder, server.url)


def test_what_the_archive_changed_is_a_warning_and_the_file_is_there(folder):
    body = json.loads(dicom_json([next(iter(uids_in(folder)))]))
    body["00081199"]["Value"][0]["00081196"] = {"vr": "US", "Value": [0xB000]}
    with StowServer(Reply(202, json.dumps([body]).encode())) as server:
        done = send_folder(folder, server.url)
    assert [(one.name, one.reason) for one in done.warnings] == [
        ("000000.dcm", "0xB000, it changed attributes of the file")
    ]
    assert (done.sent, done.exit_status) == (IMAGES, 0)


# The record


def test_a_record_that_is_cut_short_or_written_by_anybody_sends_more_and_never_less(folder):
    with StowServer() as server:
        send_folder(folder, server.url)
        (record,) = folder.glob(".sent-*")
        whole = record.read_bytes()
        for damaged in (
            whole[:-5],
            b"",
            b"\xff\xfe\n[]\n{}\n" + whole[100:],
            b"[" * 10**6,
            whole + b'{"uid": "1.2"',
        ):
            record.write_bytes(damaged)
            done = send_folder(folder, server.url)
            assert done.sent + done.before == IMAGES
            assert send_folder(folder, server.url).before == IMAGES


def test_a_command_that_is_killed_goes_on_where_it_was(tmp_path):
    folder = exported(tmp_path / "dicom", 40)

    def slowly(came: list[str]) -> None:
        time.sleep(0.02)

    with StowServer(always=slowly) as server:
        command = [sys.executable, "-m", "chestgan_core.cli", "sets", "send", str(folder), server.url]
        process = subprocess.Popen([*command, "--batch-mb", "1"], stderr=subprocess.DEVNULL)
        while not any(path.stat().st_size > 0 for path in folder.glob(".sent-*")):
            time.sleep(0.002)
        process.kill()
        process.wait()
        done = send_folder(folder, server.url)
    assert (done.sent + done.before, done.failed) == (40, [])
    assert done.before > 0
    assert server.stored.keys() == uids_in(folder).keys()


def test_a_file_that_changed_is_sent_again_and_each_archive_has_its_own_record(folder):
    with StowServer() as server, StowServer() as other:
        send_folder(folder, server.url)
        header = pydicom.dcmread(folder / "000003.dcm")
        header.save_as(folder / "000003.dcm")
        assert send_folder(folder, server.url).sent == 1
        assert send_folder(folder, f"{other.url}/studies/").sent == IMAGES
        assert send_folder(folder, other.url).before == IMAGES


def test_two_processes_do_not_send_one_folder_there_at_once(folder):
    with StowServer() as server:
        send_folder(folder, server.url)
        (record,) = folder.glob(".sent-*")
        with file_lock(record), pytest.raises(BadInput, match="another process is sending it there"):
            send_folder(folder, server.url)


def test_a_file_that_changes_meanwhile_is_not_sent_unchecked(folder):
    def exchange(came: list[str]) -> None:
        (folder / "000005.dcm").write_bytes(as_bytes(ct_slice(StudyInstanceUID="2.25.7")))
        (folder / "000006.dcm").unlink(missing_ok=True)

    with StowServer(exchange) as server:
        done = send_folder(folder, server.url)
    assert [(one.name, one.reason) for one in done.failed] == [
        ("000005.dcm", "changed while the folder was sent"),
        ("000006.dcm", "cannot be read (No such file or directory)"),
    ]
    assert len(server.stored) == IMAGES - 2


# What may be sent


def test_nothing_of_a_folder_is_sent_where_one_file_may_be_of_a_patient(folder):
    real = ct_slice(StudyInstanceUID="2.25.7", PatientName="Doe^Jane")
    (folder / "000004a.dcm").write_bytes(as_bytes(real))
    with StowServer() as server:
        with pytest.raises(
            BadInput, match=r"nothing was sent, because 000004a\.dcm does not say that it is synth"
        ):
            send_folder(folder, server.url)
        assert not server.requests
        done = send_folder(folder, server.url, others="skip")
        assert (done.sent, done.left_out) == (IMAGES, 1)
        done = send_folder(folder, server.url, others="send")
        assert (done.sent, done.before, done.left_out) == (1, IMAGES, 0)


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("zeros.dcm", bytes(1000), "is not a DICOM file"),
        (
            "no.dcm",
            as_bytes(ct_slice(SyntheticData="NO", StudyInstanceUID="2.25.7")),
            "SyntheticData is not YES",
        ),
        (
            "both.dcm",
            as_bytes(ct_slice(SyntheticData=["YES", "NO"], StudyInstanceUID="2.25.7")),
            "is not YES",
        ),
        ("study.dcm", as_bytes(ct_slice(SyntheticData="YES")), "lacks a UID"),
    ],
)
def test_what_is_no_synthetic_dicom_file_is_refused_by_name(name, content, cause, folder):
    (folder / "below").mkdir()
    (folder / "below" / name).write_bytes(content)
    with pytest.raises(BadInput, match=rf"because below/{name} .*{cause}"):
        outgoing_files(folder)
    files, left_out = outgoing_files(folder, "skip")
    assert (len(files), left_out) == (IMAGES, 1)


def test_files_that_are_no_dicom_are_left_out_and_counted(folder):
    (folder / "form.json").write_text('{"kind": "synthetic-set-form"}')
    (folder / ".DS_Store").write_bytes(b"x")
    files, left_out = outgoing_files(folder)
    assert (len(files), left_out) == (IMAGES, 1)


def test_no_link_is_followed(folder, tmp_path):
    outside = exported(tmp_path / "outside", 2, version="f" * 16)
    (folder / "link.dcm").symlink_to(outside / "000000.dcm")
    (folder / "links").symlink_to(outside)
    files, left_out = outgoing_files(folder, "send")
    assert (len(files), left_out) == (IMAGES, 2)


def test_one_uid_in_two_files_is_refused(folder):
    (folder / "copy.dcm").write_bytes((folder / "000003.dcm").read_bytes())
    with pytest.raises(BadInput, match=r"copy\.dcm: has the SOP instance UID of 000003\.dcm"):
        outgoing_files(folder)


def test_a_folder_without_files_to_send_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no DICOM file to send"):
        outgoing_files(tmp_path)
    with pytest.raises(BadInput, match="is not a folder"):
        outgoing_files(tmp_path / "absent")


# Addresses and credentials


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("https://me:geheim@archive.example/dicom-web", "has a user or a password in it"),
        ("https://token@archive.example/dicom-web", "has a user or a password in it"),
        ("http://archive.example/dicom-web", "is not https"),
        ("http://127.0.0.1.example/dicom-web", "is not https"),
        ("ftp://archive.example", "is not one of http"),
        ("archive.example/dicom-web", "is not one of http"),
        ("https://archive.example/dicom-web?key=geheim", "has a ? or a # in it"),
        ("https://archive.example/a b\r\nHost: x", "is not one of http"),
        ("https://[::1", "is not one of http"),
        ("https://me:geheim@[::1", "is not one of http"),
        ("", "is not one of http"),
    ],
)
def test_addresses_that_are_not_safe_are_refused_and_not_repeated(address, cause, folder):
    with pytest.raises(BadInput) as refused:
        send_folder(folder, address)
    assert cause in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_http_to_another_machine_is_for_closed_networks(monkeypatch):
    monkeypatch.setenv(ALLOW_HTTP, "yes")
    assert Archive.from_environment("http://archive.example/dicom-web/studies/").root.endswith(
        "example/dicom-web"
    )


def test_user_and_password_or_a_token_come_from_the_environment(monkeypatch, folder):
    with StowServer() as server:
        send_folder(folder, server.url)
        assert "authorization" not in server.headers[-1]
        monkeypatch.setenv(TOKEN, "abc.def")
        send_folder(folder, server.url, anew=True)
        assert server.headers[-1]["authorization"] == "Bearer abc.def"
        monkeypatch.setenv(USER, "me")
        with pytest.raises(BadInput, match=f"{TOKEN}: is set, and"):
            send_folder(folder, server.url)
        monkeypatch.delenv(TOKEN)
        with pytest.raises(BadInput, match=f"{PASSWORD}: is not set"):
            send_folder(folder, server.url)
        monkeypatch.setenv(PASSWORD, "gehéim:x")
        send_folder(folder, server.url, anew=True)
        assert server.headers[-1]["authorization"] == "Basic bWU6Z2Vow6lpbTp4"
    assert "Z2Vo" not in repr(Archive.from_environment(server.url))


def test_a_certificate_that_nobody_vouches_for_is_refused_until_somebody_does(folder, tmp_path, monkeypatch):
    bundle, context = own_authority(tmp_path)
    with StowServer(tls=context) as server:
        with pytest.raises(SourceRefused, match="certificate of the server is not trusted"):
            send_folder(folder, server.url)
        assert not server.requests
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert send_folder(folder, server.url).sent == IMAGES


def test_a_server_that_speaks_no_https_is_not_sent_anything(folder):
    with StowServer() as server:
        with pytest.raises(SourceRefused, match="does not speak https as it should"):
            send_folder(folder, server.url.replace("http:", "https:"))
        assert not server.requests


# Words


def test_reasons_of_the_standard_are_said_in_words():
    assert in_words(0x0122) == "0x0122, it does not store objects of this kind (SOP class)"
    assert in_words(0xA900) == in_words(0xA900)
    assert in_words(0xA9FF).startswith("0xA9FF, the file is not what")
    assert in_words(0xC122) == "0xC122, it does not store this transfer syntax"
    assert in_words(0x1234) == "0x1234, of a meaning of its own"
    for strange in (None, True, -1, 70000, "0x0110", 1.5):
        assert in_words(strange) == "without a reason"


def test_an_instance_in_both_lists_has_failed():
    settled = settled_by(dicom_json(["1.2"], {"1.2": 0x0110}))
    assert settled is not None
    assert (settled.stored, settled.failed) == ({}, {"1.2": "0x0110, processing failure"})


def test_the_command_offers_what_the_function_takes():
    assert OPTIONS == OTHERS
