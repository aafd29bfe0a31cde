"""A Kafka and a PostgreSQL that take TLS only, with certificates of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from embedded.broker import Broker
from embedded.home import HOST, Home, free_port

# Characters that URLs, properties and JAAS each write in a way of their own.
KAFKA_USER, KAFKA_PASSWORD = "ann", 'k"f\\pass w@rd'
DATABASE_USER, DATABASE_PASSWORD = "owner", "pg@pa/ss%w&rd"
_HBA = f"""
hostssl all certified {HOST}/32 scram-sha-256 clientcert=verify-ca
hostssl all all {HOST}/32 scram-sha-256
"""


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, and of a server and a client with certificates that it has signed.

    Attributes:
        ca, other_ca: the authority, and one that has signed none of the certificates.
        server, client: certificate and key together.
        client_certificate, client_key: the client's certificate alone, and its key in the form DER.
    """

    ca: Path
    other_ca: Path
    server: Path
    client: Path
    client_certificate: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, and certificates that it has signed."""
    ca, ca_key = _certificate(folder, "ca")
    other_ca, _ = _certificate(folder, "other-ca")
    signed = ["-CA", str(ca), "-CAkey", str(ca_key)]
    server, server_key = _certificate(folder, "server", *signed, "-addext", f"subjectAltName=IP:{HOST}")
    client, client_key = _certificate(folder, "client", *signed)
    der = folder / "client.pk8"
    _openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", str(client_key), "-out", str(der))
    both = [_together(folder / f"{certificate.stem}-both.pem", certificate, key) for certificate, key in (
        (server, server_key), (client, client_key),
    )]  # fmt: skip
    return Certificates(ca, other_ca, *both, client, der)


def _certificate(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    _openssl("req", "-x509", *curve, "-days", "2", "-subj", f"/CN={name}", *files, *options)
    return certificate, key


def _together(path: Path, *parts: Path) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class SecureBroker(Broker):
    """A broker with ACLs and two listeners: TLS with SCRAM, and TLS with client certificates."""

    def __init__(self, home: Home, certificates: Certificates) -> None:
        super().__init__(home)
        self.certificates = certificates
        self.format_options = ("--add-scram", f"SCRAM-SHA-512=[name={KAFKA_USER},password={KAFKA_PASSWORD}]")

    @property
    def certified_servers(self) -> str:
        """The bootstrap servers for clients with a certificate."""
        return f"{HOST}:{self.home.port('kafka-certified')}"

    def _settings(self) -> dict[str, str]:
        controller = f"{HOST}:{self.home.port('kafka-controller')}"
        listeners = f"SASL_SSL://{self.servers},SSL://{self.certified_servers}"
        return {
            **super()._settings(),
            "listeners": f"{listeners},CONTROLLER://{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "SSL",
            # The broker, its controller and clients with a certificate may do anything; others, what the ACLs of a
            # resource allow, and anything where it has none.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:CN=server;User:CN=client;User:ANONYMOUS",
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.server),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.ca),
        }


@contextmanager
def secure_postgresql(certificates: Certificates) -> Iterator[int]:
    """A PostgreSQL of this machine's packages that refuses connections without TLS; yields its port.

    The embedded one is built without TLS.
    """
    folder, port = Path(tempfile.mkdtemp(prefix="bytemeter-test-")), free_port()
    password = folder / "password"
    password.write_text(DATABASE_PASSWORD)
    try:
        _run(folder, "initdb", "-U", DATABASE_USER, "--pwfile", str(password), "-A", "scram-sha-256", "-E", "UTF8")
        shutil.copy(certificates.ca, folder / "ca.pem")
        shutil.copy(certificates.server, folder / "server.pem")
        (folder / "data" / "pg_hba.conf").write_text(_HBA)
        files = {"ssl_ca_file": "ca.pem", "ssl_cert_file": "server.pem", "ssl_key_file": "server.pem"}
        settings = {
            **{name: folder / file for name, file in files.items()},
            "ssl": "on", "port": port, "listen_addresses": HOST, "unix_socket_directories": "''", "fsync": "off",
            "timezone": "UTC",
        }  # fmt: skip
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        _run(folder, "pg_ctl", "-w", "-l", str(folder / "server.log"), "-o", options, "start")
        yield port
        _run(folder, "pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def database_url(port: int, **parameters: object) -> str:
    """The URL of the secure PostgreSQL, with parameters of libpq."""
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items())
    return f"postgresql://{DATABASE_USER}:{quote(DATABASE_PASSWORD, safe='')}@{HOST}:{port}/postgres?{query}"


def _run(folder: Path, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL; it refuses to run as root."""
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user, user)
    command = [str(_programs() / program), "-D", str(folder / "data"), *arguments]
    with (folder / f"{program}.out").open("w") as output:
        done = subprocess.run(command, user=user, cwd=folder, stdout=output, stderr=output, check=False)
    assert done.returncode == 0, (folder / f"{program}.out").read_text()


def _programs() -> Path:
    """The programs of the newest PostgreSQL of this machine's packages."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if not found or not shutil.which("openssl"):
        pytest.skip("a PostgreSQL with TLS is needed: apt install postgresql openssl")
    return found[-1].parent
