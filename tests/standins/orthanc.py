"""An Orthanc archive (Debian's) with its DICOMweb plugin for the length of a `with`, in a folder that it is given."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.standins.ports import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC = shutil.which("Orthanc", path=os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")]))
USER, PASSWORD = "me", "geheim"


@dataclass
class Orthanc:
    """A running archive. It keeps what it was sent in its folder, so that it may be killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Root of its DICOMweb service."""
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def get(self, path: str, accept: str = "application/json") -> bytes:
        """Of its own interface, or of DICOMweb."""
        headers = {**urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}"), "Accept": accept}
        answer = urllib3.request("GET", f"http://127.0.0.1:{self.port}{path}", headers=headers)
        assert answer.status == 200, f"{path}: {answer.status}"
        return bytes(answer.data)

    def instances(self) -> dict[str, str]:
        """SOP instance UID -> Orthanc's name of the instance, of all that it keeps."""
        found = json.loads(self.get("/instances?expand"))
        return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in found}

    def file(self, name: str) -> bytes:
        """The file that it keeps of an instance, by Orthanc's name."""
        return self.get(f"/instances/{name}/file", "application/dicom")

    def kill(self) -> None:
        """At once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(timeout=30)

    def start(self) -> None:
        """Once more, with what it had."""
        self.process = _started(self.folder, self.port)


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """An archive with the account `me`, whose password is `geheim`; in CI it must be installed."""
    if ORTHANC is None or not PLUGIN.exists():
        if os.environ.get("CI"):
            pytest.fail("no Orthanc here; apt-get install orthanc orthanc-dicomweb")
        pytest.skip("no Orthanc here (Debian: apt-get install orthanc orthanc-dicomweb)")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings: dict[str, Any] = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGIN)],
        "DicomServerEnabled": False,
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    archive = Orthanc(folder, port, _started(folder, port))
    try:
        yield archive
    finally:
        archive.kill()  # its end takes a second, and nothing of it is kept


def _started(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    with urllib3.PoolManager(retries=False) as pool:
        while True:
            try:
                pool.request("GET", f"http://127.0.0.1:{port}/system", timeout=1)
                return process
            except urllib3.exceptions.HTTPError:
                said = (folder / "log").read_text(errors="replace")
                assert process.poll() is None, f"Orthanc ended: {said}"
                assert time.monotonic() < deadline, f"Orthanc does not start: {said}"
                time.sleep(0.05)
