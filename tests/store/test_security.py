"""Encryption at the server, a company's own certificates, and keys that a role gives: with real requests."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput, NotInStore, StoreError
from chestgan_core.store.embedded import BUCKET, EmbeddedStore
from chestgan_core.store.objects import PART_BYTES
from chestgan_core.store.store import Store
from tests.standins.certificates import own_authority
from tests.standins.tokens import TokenService
from tests.store.access import port_of, seen_through
from tests.store.proxy import Proxy

SECRET = b"a line that nobody should find on the disk of the store"


def writes(store: Store, folder: Path) -> dict[str, Callable[[], object]]:
    """Every way in which an object is written."""
    (folder / "small").write_bytes(SECRET)
    (folder / "large").write_bytes(SECRET.ljust(3 * PART_BYTES))
    return {
        "bytes": lambda: store.put_bytes(SECRET, "bytes"),
        "small": lambda: store.put_file(folder / "small", "small"),
        "large": lambda: store.put_file(folder / "large", "large"),
        "pointer": lambda: store.update_pointer("pointer", {"version": SECRET.decode()}),
        "artefact": lambda: store.commit("of/manifest.json", {"it": SECRET}, {"kind": "test"}),
    }


def test_every_object_is_encrypted_by_the_server_and_read_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEED_S3_SSE_KEY", "a key of this server only")
    monkeypatch.setenv("CHESTGAN_S3_ENCRYPTION", "AES256")
    with EmbeddedStore(tmp_path / "home") as embedded:
        store = embedded.store()
        for write in writes(store, tmp_path).values():
            write()
        for item in store.list():
            if item.key != ".ready":
                head = store.client.head_object(Bucket=BUCKET, Key=item.key)
                assert head.get("ServerSideEncryption") == "AES256", item.key
        assert store.get_bytes("bytes") == SECRET
        assert store.get_file("large", tmp_path / "back").bytes == 3 * PART_BYTES
        assert store.get_pointer("pointer")[0] == {"version": SECRET.decode()}
        assert store.read(store.read_manifest("of/manifest.json"), "it") == SECRET
        store.update_pointer("pointer", {"version": "2"})  # an ETag of an encrypted object is one, too
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert SECRET not in on_disk


@pytest.mark.parametrize("way", ["bytes", "small", "large", "pointer", "artefact"])
def test_a_key_of_kms_is_named_in_every_request_that_writes(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("CHESTGAN_S3_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("CHESTGAN_S3_KMS_KEY", "arn:aws:kms:eu-central-1:1:key/of-ours")
    with Proxy(port_of(embedded)) as proxy:
        through = seen_through(embedded, store, endpoint=proxy.url)
        with suppress(StoreError):  # the embedded server has no KMS
            writes(through, tmp_path)[way]()
        sent = b"".join(proxy.requests).decode(errors="replace").lower()
    # What begins an object; its parts and its end belong to that.
    begin = r"^(?:put|post) /[^\s?]+(?:\?uploads)? http/1.1\r\n(.*?)\r\n\r\n"
    begun = re.findall(begin, sent, re.DOTALL | re.MULTILINE)
    assert begun
    for headers in begun:
        assert "x-amz-server-side-encryption: aws:kms\r\n" in f"{headers}\r\n"
        assert (
            "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:eu-central-1:1:key/of-ours" in headers
        )


@pytest.mark.parametrize(
    ("kind", "key", "named"),
    [
        ("aes", "", "CHESTGAN_S3_ENCRYPTION: 'aes' is not a valid value; did you mean AES256?"),
        ("AES256", "a-key", "CHESTGAN_S3_KMS_KEY: is set, and CHESTGAN_S3_ENCRYPTION is AES256; set"),
        ("", "a-key", "CHESTGAN_S3_KMS_KEY: is set, and CHESTGAN_S3_ENCRYPTION is not; set"),
    ],
)
def test_a_wrong_encryption_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, kind: str, key: str, named: str
) -> None:
    monkeypatch.setenv("CHESTGAN_S3_ENCRYPTION", kind)
    monkeypatch.setenv("CHESTGAN_S3_KMS_KEY", key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with pytest.raises(BadInput, match=re.escape(named)):
        Store.open("s3://bucket")


def test_a_certificate_of_a_company_is_refused_until_its_authority_is_named(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    bundle, tls = own_authority(tmp_path)
    with Proxy(port_of(embedded), tls=tls) as proxy:
        with pytest.raises(
            StoreError, match=r"the certificate of https://127.* is not trusted; set AWS_CA_BUN"
        ):
            seen_through(embedded, store, endpoint=proxy.url).check()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        trusting = seen_through(embedded, store, endpoint=proxy.url)
        trusting.put_bytes(SECRET, "key")
        assert trusting.get_bytes("key") == SECRET


@pytest.fixture
def tokens(
    embedded: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TokenService]:
    """The environment of a pod whose service account has a role, and no keys."""
    assert embedded.access is not None
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "token").write_text("first")
    with TokenService(embedded.access, "first") as service:
        for name, value in {
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/chestgan",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL_STS": service.url,
            "AWS_ENDPOINT_URL_S3": embedded.access.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        }.items():
            monkeypatch.setenv(name, value)
        yield service


def opened(store: Store) -> Store:
    return Store.open(f"s3://{store.bucket}/{store.prefix}")


def test_a_role_gives_keys_for_the_token_of_a_service_account(store: Store, tokens: TokenService) -> None:
    by_role = opened(store)
    by_role.put_bytes(b"x", "key")
    assert by_role.get_bytes("key") == b"x"
    assert tokens.given == ["arn:aws:iam::1:role/chestgan"]


def test_a_token_that_was_renewed_is_read_anew(store: Store, tokens: TokenService, tmp_path: Path) -> None:
    tokens.minutes = 5
    by_role = opened(store)
    by_role.put_bytes(b"x", "key")
    tokens.accepted = "second"
    (tmp_path / "token").write_text("second")
    assert by_role.get_bytes("key") == b"x"
    assert len(tokens.given) > 1


def test_a_role_that_is_not_granted_is_named_with_what_to_check(
    store: Store, tokens: TokenService, tmp_path: Path
) -> None:
    tokens.accepted = "another"
    with pytest.raises(
        StoreError, match=r"refused the key \(InvalidIdentityToken\); check .*AWS_ROLE_ARN"
    ) as refused:
        opened(store).check()
    assert not isinstance(refused.value, NotInStore)
    assert "first" not in str(refused.value)
    (tmp_path / "token").unlink()
    with pytest.raises(
        StoreError, match=r"no usable credentials were found; check .*AWS_WEB_IDENTITY_TOKEN_FILE"
    ):
        opened(store).check()
