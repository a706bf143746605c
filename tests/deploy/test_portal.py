"""The portal as deploy/ runs it: its account in the store, its database, its process, its pods.

SeaweedFS, PostgreSQL with the script of its first start, and `chestgan portal` are real; the containers around them are
left out.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import yaml
from botocore.exceptions import ClientError

from chestgan_core.errors import BadInput, StoreError
from chestgan_core.store import keys
from chestgan_core.store.client import Access, s3_client
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.identities import PORTAL_LISTS, PORTAL_READS, PORTAL_WRITES, identities
from chestgan_core.store.seaweedfs import IDENTITIES
from chestgan_core.store.store import Store
from tests.deploy.files import DEPLOY, ROOT, compose, manifests
from tests.standins.ports import free_port
from tests.standins.postgresql import INITDB, postgresql, run_once

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "production"
KEYS = {
    "CHESTGAN_STORE": f"s3://{BUCKET}/{PREFIX}",
    "AWS_ACCESS_KEY_ID": "the-pipeline",
    "AWS_SECRET_ACCESS_KEY": "0123456789abcdef of the pipeline",
    "CHESTGAN_PORTAL_ACCESS_KEY_ID": "the-portal",
    "CHESTGAN_PORTAL_SECRET_ACCESS_KEY": "0123456789abcdef of the portal",
}
SERVICE: dict[str, Any] = compose()["services"]["portal"]
WEBHOOK_SECRET = "0123456789abcdef-of-tests"

# One key of every kind that the store has.
SHOWN = (
    "synthetic/index.json",
    keys.set_latest("chest"),
    keys.set_manifest("chest", "v1"),
    "synthetic/chest/v1/images-00000.tar",
    keys.report_latest("dcgan"),
    "reports/dcgan/run/v1/0123456789abcdef/report.html",
    "comparisons/architecture/v1/0123456789abcdef/comparison.png",
    keys.leaderboard_manifest("v1"),
    keys.month_manifest("2026-11", "v1"),
    "studies/dcgan/study/v1/0123456789abcdef/report.html",
    keys.run_latest("dcgan"),
    keys.run_manifest("dcgan", "run"),
    "experiments/dcgan/run/0123456789abcdef/progress.gif",
    "reading/real-images/chest/v1/v1/0123456789abcdef/pictures.safetensors",
)
HIDDEN = (
    "raw/lung/patient/series/0-1.zip",
    "catalog/lung/v1.parquet",
    "annotations/lung/v1.parquet",
    "images/lung/v1/images-0.zip",
    keys.slices_manifest("lung", "patient", "v1"),
    "slices/lung/patient/v1.safetensors",
    keys.training_set_manifest("lung", "v1"),
    "features/lung/v1/real/v1/features.safetensors",
    "experiments/dcgan/run/0123456789abcdef/generator.safetensors",
    keys.run_checkpoint("dcgan", "run"),
    "synthetic-not-published/chest/v1/manifest.json",
    "forgotten/lung/patient.json",
    "logs/run/step.err",
)
PASSWORD = 'it\'s; "a" password'  # whose quotes the script must not trip over


class Account:
    """The portal's keys, and those of the pipeline, on one server. Keys of objects are below the store's prefix."""

    def __init__(self, portal: "S3Client", pipeline: "S3Client", environment: dict[str, str]) -> None:
        self.portal, self.pipeline, self.environment = portal, pipeline, environment
        self.store = Store(portal, BUCKET, PREFIX)

    def refuses(self, ask: Callable[..., Any], key: str, **more: Any) -> None:
        with pytest.raises(ClientError) as raised:
            ask(Bucket=BUCKET, Key=f"{PREFIX}/{key}", **more)
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, key


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Every object of SHOWN and HIDDEN is there, written by the pipeline."""
    server = EmbeddedStore(tmp_path_factory.mktemp("home"))
    server.folder.mkdir(parents=True)
    written = subprocess.run(
        [sys.executable, *compose()["services"]["rights"]["command"][1:3], str(server.folder / IDENTITIES)],
        env={**os.environ, **KEYS},
        capture_output=True,
        text=True,
    )
    assert written.returncode == 0, written.stderr
    assert (server.folder / IDENTITIES).stat().st_mode & 0o777 == 0o600
    with server:
        assert server.access is not None
        assert server.access.key == KEYS["AWS_ACCESS_KEY_ID"]
        own = (KEYS["CHESTGAN_PORTAL_ACCESS_KEY_ID"], KEYS["CHESTGAN_PORTAL_SECRET_ACCESS_KEY"])
        portal = s3_client(Access(server.access.endpoint, *own), attempts=1)
        pipeline = s3_client(server.access)
        for key in (*SHOWN, *HIDDEN):
            pipeline.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", Body=b"written by the pipeline")
        environment = {
            "CHESTGAN_STORE": KEYS["CHESTGAN_STORE"],
            "AWS_ENDPOINT_URL": server.access.endpoint,
            "AWS_DEFAULT_REGION": server.access.region,
            "AWS_ACCESS_KEY_ID": own[0],
            "AWS_SECRET_ACCESS_KEY": own[1],
        }
        yield Account(portal, pipeline, environment)


@pytest.mark.parametrize("key", SHOWN)
def test_the_portal_reads_what_it_shows(account: Account, key: str) -> None:
    assert account.store.get_bytes(key) == b"written by the pipeline"


@pytest.mark.parametrize("key", HIDDEN)
def test_the_portal_reads_nothing_else(account: Account, key: str) -> None:
    for ask in (account.portal.get_object, account.portal.head_object):
        account.refuses(ask, key)
    # Nor by a copy to where it may read.
    account.refuses(account.portal.copy_object, "reading/stolen", CopySource=f"{BUCKET}/{PREFIX}/{key}")


@pytest.mark.parametrize("key", [key for key in (*SHOWN, *HIDDEN) if not key.startswith("reading/")])
def test_the_portal_changes_and_deletes_nothing_of_the_pipeline(account: Account, key: str) -> None:
    account.refuses(account.portal.put_object, key, Body=b"")
    account.refuses(account.portal.put_object, f"{key}-new", Body=b"")
    account.refuses(account.portal.create_multipart_upload, key)
    account.refuses(account.portal.delete_object, key)
    account.portal.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": f"{PREFIX}/{key}"}]})
    assert account.pipeline.head_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")


def test_the_portal_keeps_its_studies_as_artefacts_and_pointers(account: Account) -> None:
    store = account.store
    manifest = keys.reader_study_manifest("first", "v1")
    store.commit(manifest, {"pictures.safetensors": b"pictures"}, {"kind": "reader-study"})
    assert store.is_complete(manifest)
    pointer = "reading/answers/chest/latest.json"
    store.update_pointer(pointer, {"version": "v1"})
    store.update_pointer(pointer, {"version": "v2"})
    assert store.read_pointer(pointer, "version") == ("v2",)
    assert "reading/studies/first/v1/manifest.json" in {item.key for item in store.list("reading/")}


def test_what_is_not_there_is_not_there_and_no_refusal(account: Account) -> None:
    """A refusal would say on a page that the store is out of order, where only a set has another name."""
    for key in (
        "synthetic/other/latest.json",
        "reports/x/latest.json",
        "experiments/x/latest.json",
        "reading/x",
    ):
        assert account.store.head(key) is None
    account.store.check(keys.sets_prefix())


@pytest.mark.parametrize(
    "prefix", ["", "slices/", "raw/", "training-sets/", "catalog/", "synthetic", "reading/../raw/"]
)
def test_no_names_of_patients_are_listed(account: Account, prefix: str) -> None:
    try:
        listed = list(account.store.list(prefix))
    except StoreError:
        listed = []
    assert not listed


def test_the_bucket_itself_is_not_the_portals(account: Account) -> None:
    for ask in (
        account.portal.delete_bucket,
        account.portal.get_bucket_policy,
        account.portal.get_bucket_acl,
    ):
        with pytest.raises(ClientError):
            ask(Bucket=BUCKET)
    with pytest.raises(ClientError):
        account.portal.create_bucket(Bucket="another")


def test_the_policy_for_aws_gives_the_same_rights() -> None:
    policy = json.loads((DEPLOY / "aws" / "portal-policy.json").read_text())
    given = {statement["Sid"]: statement for statement in policy["Statement"]}
    root = "arn:aws:s3:::chestgan-example/production/"
    assert given["ReadWhatPagesShow"]["Resource"] == [root + one for one in PORTAL_READS]
    assert given["WriteReaderStudies"]["Resource"] == [root + one for one in PORTAL_WRITES]
    assert given["ReadWhatPagesShow"]["Action"] == "s3:GetObject"
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
    environment = next(
        document["data"]
        for path, document in manifests()
        if path == "kubernetes/environment.yaml" and document["metadata"]["name"] == "chestgan-portal"
    )
    assert root.startswith(f"arn:aws:s3:::{environment['CHESTGAN_STORE'].removeprefix('s3://')}/")


def test_every_part_of_the_store_is_decided_about() -> None:
    """A new kind of key is either shown by the portal or hidden from it, and one of the two lists above says which."""
    documented = {
        line.split()[0].split("/")[0]
        for line in str(keys.__doc__).splitlines()
        if line.startswith("    ") and "/" in line.split()[0]
    }
    decided = {key.split("/")[0] for key in (*SHOWN, *HIDDEN)} | {"doctor"}
    assert documented <= decided
    assert {one.split("/")[0] for one in (*PORTAL_READS, *PORTAL_LISTS)} <= documented


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY: is not set"),
        ({"CHESTGAN_PORTAL_SECRET_ACCESS_KEY": ""}, "CHESTGAN_PORTAL_SECRET_ACCESS_KEY: is not set"),
        ({"CHESTGAN_PORTAL_SECRET_ACCESS_KEY": "short"}, "has fewer than 16 characters"),
        ({"CHESTGAN_PORTAL_ACCESS_KEY_ID": "the-pipeline"}, "is that of another user"),
    ],
)
def test_keys_that_would_open_more_than_they_should_are_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        identities({**KEYS, **changed})


def test_without_keys_of_the_portal_there_is_no_portal_in_the_list() -> None:
    only = identities({name: value for name, value in KEYS.items() if "PORTAL" not in name})
    assert [user["name"] for user in only["identities"]] == ["chestgan"]


# The database


@pytest.fixture(scope="module")
def databases() -> Iterator[str]:
    """Address of a server after the scripts of its first start, run by psql as its image runs them."""
    with postgresql() as address:
        run_once(address, "CREATE ROLE chestgan LOGIN SUPERUSER PASSWORD 'geheim'")
        run_once(address, "CREATE DATABASE chestgan OWNER chestgan")
        own = urlsplit(address)._replace(
            netloc=f"chestgan:geheim@{urlsplit(address).netloc.rpartition('@')[2]}"
        )
        scripts = {
            volume["target"]: DEPLOY / "compose" / volume["source"]
            for volume in compose()["services"]["postgresql"]["volumes"]
            if "/docker-entrypoint-initdb.d/" in volume["target"]
        }
        psql = str(Path(str(INITDB)).with_name("psql"))
        for target in sorted(scripts):
            ran = subprocess.run(
                [
                    psql,
                    "-v",
                    "ON_ERROR_STOP=1",
                    "--no-psqlrc",
                    "-f",
                    str(scripts[target]),
                    own._replace(path="/chestgan").geturl(),
                ],
                env={**os.environ, "CHESTGAN_PORTAL_POSTGRES_PASSWORD": 'it\'s; "a" password'},
                capture_output=True,
                text=True,
            )
            assert ran.returncode == 0, ran.stderr
        yield address


def opened(address: str, database: str) -> Any:
    parts = urlsplit(address)
    return psycopg2.connect(
        host=parts.hostname,
        port=parts.port,
        user="portal",
        password='it\'s; "a" password',
        dbname=database,
    )


def test_the_portals_account_opens_its_database_and_no_other_one(databases: str) -> None:
    opened(databases, "portal").close()
    for other in ("chestgan", "studies", "postgres", "template1"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            opened(databases, other)


def test_the_portals_account_makes_neither_accounts_nor_databases(databases: str) -> None:
    for statement in ("CREATE ROLE another", "CREATE DATABASE another", "COPY (SELECT 1) TO PROGRAM 'true'"):
        connection = opened(databases, "portal")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
        finally:
            connection.close()


def test_kind_runs_the_same_scripts() -> None:
    (scripts,) = (
        document["data"]
        for _, document in manifests()
        if document["metadata"]["name"] == "postgresql-databases"
    )

    def statements(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("--")]

    for name, text in scripts.items():
        file = DEPLOY / "compose" / name.partition("-")[2]
        assert statements(text) == statements(file.read_text())


# The process


@contextmanager
def running(account: Account, database: str, folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The service of compose as a process. Values that .env gives are those of its example."""
    port = free_port()
    told = {
        name: str(value)
        for name, value in SERVICE["environment"].items()
        if value is not None and "$" not in str(value)
    }
    parts = urlsplit(database)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHESTGAN", "AWS", "PG"))
        },
        **told,
        **account.environment,
        "CHESTGAN_PORTAL_DATABASE": told["CHESTGAN_PORTAL_DATABASE"].replace(
            "@postgresql:5432", f"@{parts.hostname}:{parts.port}"
        ),
        "PGPASSWORD": 'it\'s; "a" password',
        "CHESTGAN_PORTAL_HOSTS": SERVICE["environment"]["CHESTGAN_PORTAL_HOSTS"].partition("$")[0],
        "CHESTGAN_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "CHESTGAN_PORTAL_HOST": "127.0.0.1",
        "CHESTGAN_PORTAL_PORT": str(port),
        "CHESTGAN_HOME": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    command = [str(Path(sys.executable).with_name(SERVICE["command"][0])), *SERVICE["command"][1:]]
    with (folder / "portal.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not healthy(port):
            assert process.poll() is None, (folder / "portal.log").read_text()
            assert time.monotonic() < deadline, (folder / "portal.log").read_text()
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(10)


def healthy(port: int) -> bool:
    """The service's own health check."""
    _, *command = SERVICE["healthcheck"]["test"]
    command = [sys.executable, *(word.replace(":8080/", f":{port}/") for word in command[1:])]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_the_portal_runs_with_its_own_keys_and_database(
    account: Account, databases: str, tmp_path: Path
) -> None:
    with running(account, databases, tmp_path) as (address, process):
        with urllib.request.urlopen(f"{address}/ready", timeout=20) as answer:
            assert json.load(answer) == {"database": "ok", "store": "ok"}
        # By the name that the daemon uses, which is no name of this machine.
        named = urllib.request.Request(f"{address}/health", headers={"Host": "portal:8080"})
        with urllib.request.urlopen(named, timeout=20) as answer:
            assert answer.status == 200
        foreign = urllib.request.Request(f"{address}/health", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign, timeout=20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    said = (tmp_path / "portal.log").read_text()
    assert not any(value in said for value in (WEBHOOK_SECRET, "of the portal", 'a" password'))


def test_what_the_pipeline_tells_reaches_the_portal(account: Account, databases: str, tmp_path: Path) -> None:
    """The daemon's variables, with the name of the service in them."""
    told = compose()["x-environment"]
    assert told["CHESTGAN_WEBHOOK"] == "${CHESTGAN_WEBHOOK:-http://portal:8080/notify}"
    program = (
        "from chestgan_core.local.webhook import Webhook;"
        'Webhook.from_environment().deliver("one", {"kind": "set-published", "at": 1.8e9, "run": "a", "set": "s"})'
    )
    with running(account, databases, tmp_path) as (address, _):
        for secret, status in ((WEBHOOK_SECRET, 0), ("another-secret-of-nobody", 1)):
            ran = subprocess.run(
                [sys.executable, "-c", program],
                env={
                    **os.environ,
                    "CHESTGAN_WEBHOOK": f"{address}/notify",
                    "CHESTGAN_WEBHOOK_ALLOW_HTTP": str(told["CHESTGAN_WEBHOOK_ALLOW_HTTP"]),
                    "CHESTGAN_WEBHOOK_SECRET": secret,
                },
                capture_output=True,
                text=True,
            )
            assert ran.returncode == status, ran.stderr


# The files


def test_the_portal_of_compose_has_no_secret_of_the_pipeline() -> None:
    environment = SERVICE["environment"]
    assert environment["AWS_ACCESS_KEY_ID"] == "${CHESTGAN_PORTAL_ACCESS_KEY_ID:-}"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "${CHESTGAN_PORTAL_SECRET_ACCESS_KEY:-}"
    assert environment["PGPASSWORD"] == "${CHESTGAN_PORTAL_POSTGRES_PASSWORD:?is empty in .env}"
    told = json.dumps(environment).replace("CHESTGAN_PORTAL_POSTGRES_PASSWORD", "")
    assert "CHESTGAN_POSTGRES_PASSWORD" not in told
    assert not {"CHESTGAN_PATIENT_KEY", "CHESTGAN_STUDY_STORAGE"} & environment.keys()
    # No socket of the code server, no history, no data folder.
    assert not SERVICE.get("volumes")


def of_portal(kind: str, path: str = "kubernetes/portal.yaml") -> dict[str, Any]:
    (found,) = (document for name, document in manifests() if name == path and document["kind"] == kind)
    return found


def test_the_pod_reads_what_the_service_of_compose_reads() -> None:
    """Besides what only a container of compose is told, or only a pod."""
    (container,) = of_portal("Deployment")["spec"]["template"]["spec"]["containers"]
    text = (DEPLOY / "kubernetes" / "environment.yaml").read_text()
    in_pod = {one["name"] for one in container["env"]}
    missing = {name for name in SERVICE["environment"] if name not in in_pod and f"{name}:" not in text}
    assert missing <= {"CHESTGAN_S3_KMS_KEY"}
    assert container["command"] == SERVICE["command"]
    secrets = {one["valueFrom"]["secretKeyRef"]["name"] for one in container["env"] if "valueFrom" in one}
    assert secrets == {"chestgan-portal", "chestgan-webhook"}
    assert container["envFrom"] == [{"configMapRef": {"name": "chestgan-portal"}}]


def test_the_pod_has_no_rights_in_kubernetes() -> None:
    spec = of_portal("Deployment")["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == of_portal("ServiceAccount")["metadata"]["name"]
    assert spec["automountServiceAccountToken"] is False
    bound = {
        subject["name"]
        for _, document in manifests()
        if document["kind"] == "RoleBinding"
        for subject in document["subjects"]
    }
    assert spec["serviceAccountName"] not in bound
    # Otherwise Kubernetes sets CHESTGAN_PORTAL_PORT=tcp://... for the Service of this name.
    assert spec["enableServiceLinks"] is False


def test_probes_service_ingress_and_policies_meet_in_one_port() -> None:
    deployment = of_portal("Deployment")["spec"]["template"]
    (container,) = deployment["spec"]["containers"]
    (port,) = container["ports"]
    told = {one["name"]: one.get("value") for one in container["env"]}
    assert told["CHESTGAN_PORTAL_PORT"] == str(port["containerPort"])
    probes = {
        name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert probes["livenessProbe"]["path"] == "/health"
    assert probes["readinessProbe"]["path"] == "/ready"
    service = of_portal("Service")
    assert service["spec"]["selector"].items() <= deployment["metadata"]["labels"].items()
    (rule,) = of_portal("Ingress", "kubernetes/portal-ingress.yaml")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    policies = {
        document["metadata"]["name"]: document["spec"]
        for name, document in manifests()
        if name == "kubernetes/network-policies.yaml"
    }
    assert (
        policies["portal"]["podSelector"]["matchLabels"].items() <= deployment["metadata"]["labels"].items()
    )
    (inside,) = policies["portal"]["ingress"]
    assert [one["port"] for one in inside["ports"]] == [port["containerPort"]]
    (outside,) = policies["portal"]["egress"]
    assert {one["port"] for one in outside["ports"]} == {443, 5432}
    assert policies["to-portal"]["egress"][0]["ports"] == inside["ports"]


def test_the_name_of_the_ingress_is_one_that_the_portal_answers_to() -> None:
    ingress = of_portal("Ingress", "kubernetes/portal-ingress.yaml")["spec"]
    environment = next(
        document["data"]
        for path, document in manifests()
        if path == "kubernetes/environment.yaml" and document["metadata"]["name"] == "chestgan-portal"
    )
    names = environment["CHESTGAN_PORTAL_HOSTS"].split(",")
    assert ingress["rules"][0]["host"] in names
    assert ingress["tls"][0]["hosts"] == [ingress["rules"][0]["host"]]
    assert environment["CHESTGAN_PORTAL_HTTPS"] == "yes"
    service = of_portal("Service")["metadata"]["name"]
    assert service in names
    pipeline = yaml.safe_load_all((DEPLOY / "kubernetes" / "environment.yaml").read_text())
    assert next(iter(pipeline))["data"]["CHESTGAN_WEBHOOK"] == f"http://{service}:8080/notify"
