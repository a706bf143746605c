"""The embedded store under attack: by another account of the machine and by a web page, at every listener it has.

Ports know no accounts: who has neither the keys nor the certificate is a stranger there, whoever it is. Sockets are
files, so those are tried as the account `nobody` where the tests run as root.
"""

import itertools
import json
import os
import socket
import ssl
import stat
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import grpc
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chestgan_core.store import seaweedfs
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.inner_tls import write_certificate

# Larger than what the filer keeps in its own table: it lies in a volume.
SECRET = b"raw private DICOM" * 40_000
_NEWEST = 8  # pieces of a volume that a test tries
NOBODY = 65534
SERVICES = (
    "master_pb.Seaweed",
    "volume_server_pb.VolumeServer",
    "filer_pb.SeaweedFiler",
    "SeaweedS3IamCache",
)
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
LIST_SERVICES = b"\x3a\x01*"

ADMIN_PATHS = (
    f"/col/delete?collection={BUCKET}", "/vol/grow?count=1", "/vol/vacuum", "/vol/status", "/dir/assign", "/dir/status",
    "/dir/lookup?volumeId=1", "/submit", "/stats/counter", "/stats/memory", "/stats/health", "/cluster/status",
    "/raft/stats",
    "/admin/assign_volume?volume=9", "/admin/volume/delete?volume=1", "/ui/index.html", "/metrics", "/debug/pprof/heap",
    "/debug/vars", "/buckets/", f"/buckets/{BUCKET}?recursive=true", "/?Action=ListUsers&Version=2010-05-08", "/.tus/x",
    "/etc/iam/identity.json", "/redirect/1,01", "/",
)  # fmt: skip


@pytest.fixture(scope="module")
def treasure(embedded: EmbeddedStore) -> Iterator[str]:
    """The key of an object, which is whole after the tests of this module as it was before them."""
    store = embedded.store()
    store.put_bytes(SECRET, "intruders/object")
    before = sorted(item.key for item in store.list())
    yield "intruders/object"
    assert store.get_bytes("intruders/object") == SECRET
    assert sorted(item.key for item in store.list()) == before


def ports(embedded: EmbeddedStore) -> dict[str, int]:
    """Those on which it listens, with their names."""
    named = json.loads((embedded.folder / "ports.json").read_text())
    listening = {
        connection.laddr.port
        for connection in psutil.Process(embedded.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert set(named.values()) == listening, "a listener that this file does not know"
    return {str(name): int(port) for name, port in named.items()}


def sockets(embedded: EmbeddedStore) -> list[Path]:
    found = [Path(one.laddr) for one in psutil.Process(embedded.pid).net_connections("unix") if one.laddr]
    assert len(found) >= 6
    return [embedded.folder / path for path in found]  # some are relative to its folder


def needles(embedded: EmbeddedStore) -> list[str]:
    """Addresses of the pieces of objects at the volume server, with the secret part of each, read from its files.

    The newest of each volume, among which is `treasure`: other tests leave thousands in the same server.
    """
    found = []
    for index in (embedded.folder / "data").glob(f"{BUCKET}_*.idx"):
        volume = index.stem.rpartition("_")[2]
        data = index.with_suffix(".dat").read_bytes()
        for key, offset, _, _ in list(struct.iter_unpack(">QIBi", index.read_bytes()))[-_NEWEST:]:
            (cookie,) = struct.unpack_from(">I", data, offset * 8)
            found.append(f"/{volume},{key:x}{cookie:08x}")
    return found


def answer(url: str, method: str, headers: dict[str, str], tls: ssl.SSLContext | None = None) -> bytes:
    """What a stranger reads; b"" where it is refused."""
    body = b"x" if method in ("POST", "PUT") else None
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10, context=tls) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        with suppress(OSError):  # it closes connections with a reset
            return error.read()
    except (OSError, ValueError):
        pass
    return b""


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A client that trusts everybody and has a certificate of its own making, and the file of that."""
    path = tmp_path_factory.mktemp("stranger") / "own.pem"
    write_certificate(path)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(path)
    return context, path


def test_no_http_request_without_keys_reads_or_changes_anything(
    embedded: EmbeddedStore, treasure: str, strangers: tuple[ssl.SSLContext, Path]
) -> None:
    objects = (f"/{BUCKET}/{treasure}", f"/{BUCKET}?list-type=2", f"/buckets/{BUCKET}/{treasure}")
    pieces = needles(embedded)
    assert pieces, "the object is in no volume"
    known = ports(embedded)
    as_page = {"Origin": "http://evil.example", "Host": "evil.example", "Content-Type": "text/plain"}
    leaked = []
    for (name, port), path in itertools.product(known.items(), (*ADMIN_PATHS, *objects, *pieces)):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            said = answer(f"http://127.0.0.1:{port}{path}", method, as_page)
            leaked += (
                [(name, method, path)] if SECRET[:17] in said or treasure.encode() in _body(said) else []
            )
        if name in ("master", "filer"):  # HTTPS
            said = answer(f"https://127.0.0.1:{port}{path}", "GET", {}, strangers[0])
            leaked += [(name, "https", path)] if said else []
    assert not leaked
    # The object is still there and the same: `treasure` looks at the end, and here, to name the test that broke it.
    assert embedded.store().get_bytes(treasure) == SECRET


def _body(said: bytes) -> bytes:
    # S3's refusal repeats the key that was asked for.
    return b"" if said.startswith(b"<?xml") and b"<Error>" in said else said


def test_one_get_to_the_master_deletes_no_collection(
    embedded: EmbeddedStore, treasure: str, strangers: tuple[ssl.SSLContext, Path]
) -> None:
    master = ports(embedded)["master"]
    for method, scheme in itertools.product(("GET", "POST", "DELETE"), ("http", "https")):
        url = f"{scheme}://127.0.0.1:{master}/col/delete?collection={BUCKET}"
        said = answer(url, method, {}, strangers[0] if scheme == "https" else None)
        assert said in (b"", b"Client sent an HTTP request to an HTTPS server.\n")
    assert embedded.store().get_bytes(treasure) == SECRET


def test_pieces_of_objects_need_a_signature(embedded: EmbeddedStore, treasure: str) -> None:
    volume = ports(embedded)["volume"]
    for piece, method in itertools.product(needles(embedded), ("GET", "PUT", "DELETE")):
        body = b"x" if method == "PUT" else None
        request = urllib.request.Request(f"http://127.0.0.1:{volume}{piece}", body, method=method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 401


def services(target: str, credentials: grpc.ChannelCredentials | None) -> bytes:
    """The services that a gRPC server names to this client; b"" where it does not speak to it."""
    channel = grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target)
    with channel:
        call = channel.stream_stream(REFLECTION, lambda sent: sent, lambda received: received)
        try:
            return bytes(next(iter(call(iter([LIST_SERVICES]), timeout=3))))
        except grpc.RpcError:
            return b""


def with_certificate(trusted: Path, own: Path) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(trusted.read_bytes(), own.read_bytes(), own.read_bytes())


def test_grpc_speaks_only_to_the_certificate_of_this_start(
    embedded: EmbeddedStore, treasure: str, strangers: tuple[ssl.SSLContext, Path]
) -> None:
    inner = embedded.folder / "inner.pem"
    assert stat.S_IMODE(inner.stat().st_mode) == 0o600
    ours, foreign = with_certificate(inner, inner), with_certificate(inner, strangers[1])
    grpc_ports = {name: port for name, port in ports(embedded).items() if name.endswith(".grpc")}
    assert len(grpc_ports) == len(SERVICES)
    for (name, port), service in zip(grpc_ports.items(), SERVICES, strict=True):
        assert service.encode() in services(f"127.0.0.1:{port}", ours), name  # the question itself is right
        assert services(f"127.0.0.1:{port}", None) == b"", name
        assert services(f"127.0.0.1:{port}", foreign) == b"", name
    for path in sockets(embedded):
        if "grpc" in path.name:
            assert services(f"unix:{path}", None) == b"", path
            assert services(f"unix:{path}", foreign) == b"", path


def test_the_tools_of_seaweedfs_copy_no_volume(
    embedded: EmbeddedStore, treasure: str, tmp_path: Path
) -> None:
    known = ports(embedded)
    server = f"127.0.0.1:{known['master']}.{known['master.grpc']}"
    for volume in sorted({piece[1:].partition(",")[0] for piece in needles(embedded)}):
        copied = subprocess.run(
            [
                seaweedfs._weed(),
                "backup",
                f"-server={server}",
                f"-collection={BUCKET}",
                f"-volumeId={volume}",
                "-dir=.",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )
        assert "Unavailable" in copied.stdout + copied.stderr
    assert not list(tmp_path.iterdir())


def test_no_other_account_reaches_a_socket(embedded: EmbeddedStore) -> None:
    paths = sockets(embedded)
    assert not [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if os.getuid() == 0 and sys.platform == "linux":
        code = "import socket, sys\nsocket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        for path in paths:
            tried = subprocess.run(
                ["/usr/bin/env", "python3", "-c", code, str(path)],
                user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True,
            )  # fmt: skip
            assert "PermissionError" in tried.stderr, tried.stderr


def test_s3_refuses_no_keys_and_wrong_keys(embedded: EmbeddedStore, treasure: str) -> None:
    assert embedded.access is not None
    for key in (embedded.access.key, "CGWRONG"):
        client = boto3.client(
            "s3", endpoint_url=embedded.access.endpoint, region_name="us-east-1",
            aws_access_key_id=key, aws_secret_access_key="wrong", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        for action in (
            lambda: client.get_object(Bucket=BUCKET, Key=treasure),  # noqa: B023
            lambda: client.delete_object(Bucket=BUCKET, Key=treasure),  # noqa: B023
            lambda: client.delete_bucket(Bucket=BUCKET),  # noqa: B023
            lambda: client.list_objects_v2(Bucket=BUCKET),  # noqa: B023
        ):
            with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidAccessKeyId"):
                action()


def test_a_browser_lets_no_page_read_an_answer(embedded: EmbeddedStore, treasure: str) -> None:
    url = f"http://127.0.0.1:{ports(embedded)['s3']}/{BUCKET}/{treasure}"
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=10)
        assert refused.value.code == 403
        assert "Access-Control-Allow-Origin" not in refused.value.headers


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of the sockets is Linux's")
def test_neither_settings_of_another_seaweedfs_nor_a_socket_of_another_account_weaken_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment, ~/.seaweedfs and a stranger who knows the ports of last time could change."""
    (tmp_path / "user" / ".seaweedfs").mkdir(parents=True)
    (tmp_path / "user" / ".seaweedfs" / "security.toml").write_text('[grpc]\nca = ""\n')
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("WEED_JWT_SIGNING_READ_KEY", "")
    monkeypatch.setenv("WEED_GRPC_CA", "")
    monkeypatch.setenv("WEED_ACCESS_UI", "true")
    names = [f"{name}{end}" for name in seaweedfs.LISTENERS for end in ("", ".grpc")]
    recorded = {name: 21_500 + number for number, name in enumerate(names)}
    (tmp_path / "home" / "s3").mkdir(parents=True)
    (tmp_path / "home" / "s3" / "ports.json").write_text(json.dumps(recorded))
    taken = seaweedfs.grpc_socket("master", recorded["master.grpc"])
    taken.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(str(taken))
        squatter.listen()
        try:
            with EmbeddedStore(tmp_path / "home") as started:
                assert ports(started)["master.grpc"] != recorded["master.grpc"]
                started.store().put_bytes(SECRET, "object")
                assert services(f"127.0.0.1:{ports(started)['filer.grpc']}", None) == b""
                for piece in needles(started):
                    said = answer(f"http://127.0.0.1:{ports(started)['volume']}{piece}", "GET", {})
                    assert SECRET[:17] not in said
        finally:
            taken.unlink()


def test_sockets_of_killed_servers_are_removed(tmp_path: Path) -> None:
    path = seaweedfs.grpc_socket("master", 19_999)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        seaweedfs.remove_dead_sockets({"master.grpc": 19_999})
        assert path.exists(), "somebody listens there"
    assert seaweedfs.remove_dead_sockets({}) >= 0
    assert path.exists(), "it is younger than a minute: its server may be about to listen"
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert seaweedfs.remove_dead_sockets({}) >= 1
    assert not path.exists()
