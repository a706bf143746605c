"""Mutual TLS between the parts of a SeaweedFS server: they speak only to who has the certificate of that server.

In: a path. Out: a PEM file with one key and its certificate, and the environment variables that make SeaweedFS require
it: for every gRPC listener, port or socket, and for HTTP of the master and the filer. S3 and the volume server stay
HTTP: S3 asks for its keys, the volume server for a signature by a key of this start. (With HTTPS there, SeaweedFS 4.48
cannot read large objects that it encrypts itself.)

    python -m chestgan_core.store.inner_tls PATH

writes the file where there is none, for a SeaweedFS in a container of its own.
"""

import sys
from datetime import datetime
from pathlib import Path

from chestgan_core.local.files import replacing

# Server and client of each part. Only SeaweedFS's own parts are clients of these.
_PARTS = ("MASTER", "VOLUME", "FILER", "S3", "CLIENT")
# No date that a wrong clock could miss; RFC 5280, 4.1.2.5: the second one means that the certificate has no end.
_FROM, _UNTIL = datetime(2000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)


def write_certificate(path: Path) -> None:
    """Write a new key (P-256) and a certificate that only it trusts, mode 0600, in place of an older file.

    The certificate is its own authority: there is no second key that could sign another one. Raises OSError, and
    ImportError where `cryptography` is not installed.
    """
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chestgan store")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(here, critical=False)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    with replacing(path, durable=False) as part:
        part.touch(mode=0o600)
        part.write_bytes(pem)


def tls_environment(certificate: Path) -> dict[str, str]:
    """SeaweedFS's variables: every part accepts and presents this certificate only. They win over security.toml."""
    path = str(certificate)
    variables = {"WEED_GRPC_CA": path}
    for part in _PARTS:
        variables |= {f"WEED_GRPC_{part}_{name}": path for name in ("CERT", "KEY")}
    for part in ("MASTER", "FILER"):
        variables |= {f"WEED_HTTPS_{part}_{name}": path for name in ("CERT", "KEY", "CA")}
    return variables


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if not target.exists():
        write_certificate(target)
