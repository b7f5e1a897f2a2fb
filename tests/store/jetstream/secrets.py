"""What a server is configured with, and what gets in: users, tokens, nkeys, JWTs, certificates."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.jetstream.credentials import Credentials

PASSWORD = "corr&ct/h@rse"


@dataclass(frozen=True)
class Form:
    """One way to be let in."""

    settings: str
    """Of the server that wants it."""
    right: Credentials
    wrong: Credentials
    secrets: tuple[str, ...]
    """What may be printed nowhere."""


def password_form(folder: Path) -> Form:
    settings = f'authorization {{ users = [{{ user: "ann", password: "{PASSWORD}" }}] }}'
    right = Credentials(user="ann", password=PASSWORD)
    return Form(settings, right, replace(right, password="guessed-it"), (PASSWORD, "guessed-it"))


def token_form(folder: Path) -> Form:
    settings = 'authorization { token: "t0ken-0f-ann" }'
    return Form(
        settings, Credentials(token="t0ken-0f-ann"), Credentials(token="b0bs"), ("t0ken-0f-ann", "b0bs")
    )


def nkey_form(folder: Path) -> Form:
    right, wrong = Key("user"), Key("user")
    return Form(
        f'authorization {{ users = [{{ nkey: "{right.public}" }}] }}',
        Credentials(nkey=written(folder / "ann.nk", right.seed + "\n")),
        Credentials(nkey=written(folder / "bob.nk", wrong.seed)),
        (right.seed, wrong.seed),
    )


def creds_form(folder: Path) -> Form:
    operator, system, account, ann, bob = (Key(kind) for kind in KINDS)
    # Without any number of them, an account has no JetStream.
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    traffic = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
    limits = {**traffic, **storage, "wildcards": True}
    settings = f"""
        operator: {operator.signed(operator, {"type": "operator"})}
        system_account: {system.public}
        resolver: MEMORY
        resolver_preload {{
            {system.public}: {operator.signed(system, {"type": "account", "limits": traffic})}
            {account.public}: {operator.signed(account, {"type": "account", "limits": limits})}
        }}
    """
    anybody: dict[str, Any] = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    right = creds(account.signed(ann, anybody), ann)
    # Signed by nobody that the server knows.
    wrong = creds(Key("account").signed(bob, anybody), bob)
    return Form(
        settings,
        Credentials(creds=written(folder / "ann.creds", right)),
        Credentials(creds=written(folder / "bob.creds", wrong)),
        (ann.seed, bob.seed, right.splitlines()[1], wrong.splitlines()[1]),
    )


KINDS = ("operator", "account", "account", "user", "user")
FORMS = {"password": password_form, "token": token_form, "nkey": nkey_form, "creds": creds_form}

_KINDS = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}


class Key:
    """An nkey: of an operator, an account or a user."""

    def __init__(self, kind: str) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), _KINDS[kind]).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public: str = self._pair.public_key.decode()

    def signed(self, subject: Key, nats: Mapping[str, Any]) -> str:
        """A JWT of this key on another one."""
        claims = {
            "jti": subject.public,
            "iat": int(datetime.datetime.now().timestamp()),
            "iss": self.public,
            "sub": subject.public,
            "name": str(nats["type"]),
            "nats": {**nats, "version": 2},
        }
        parts = ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)
        signed = ".".join(_in_base64(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_in_base64(self._pair.sign(signed.encode()))}"


def creds(jwt: str, user: Key) -> str:
    """The text of a .creds file."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )


class Authority:
    """Signs certificates that last for an hour."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        certificate = (
            self._certificate(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
        )
        self.file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(_PEM))

    def certificate(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """The files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._certificate(subject, key.public_key())
        if hosts:
            certificate = certificate.add_extension(
                x509.SubjectAlternativeName([_named(host) for host in hosts]), critical=False
            )
        cert, private = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        cert.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        private.write_bytes(_private(key, serialization.NoEncryption()))
        return cert, private

    def locked_key(self) -> Path:
        """A key that has a passphrase."""
        file = self._folder / "locked.key"
        file.write_bytes(_private(self._key, serialization.BestAvailableEncryption(b"sesame")))
        return file

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )


def tls_settings(certificate: tuple[Path, Path], more: str = "") -> str:
    """Of a server that speaks TLS."""
    cert, key = certificate
    return f'tls {{ cert_file: "{cert}", key_file: "{key}", {more} }}'


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


_PEM = serialization.Encoding.PEM
_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _private(key: ec.EllipticCurvePrivateKey, locked: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, locked)


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _in_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
