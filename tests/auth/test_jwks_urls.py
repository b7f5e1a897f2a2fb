"""Where keys for tokens may be published."""

from __future__ import annotations

import pytest

from streams.auth.jwks import checked_jwks_url
from streams.errors import DefinitionRefused


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/.well-known/jwks.json",
        "https://issuer.example:8443/a?b=c",
        "https://issuer.example/@tenant/keys",
        "http://localhost/jwks",
        "http://127.0.0.1:8080/jwks",
        "http://[::1]:8080/jwks",
    ],
)
def test_keys_may_come_over_tls_or_from_this_machine(url: str):
    assert checked_jwks_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example/jwks",
        "http://issuer.example/jwks",
        "http://localhost.evil.example/jwks",
        "http://127.0.0.1.evil.example/jwks",
        "http://localhost@evil.example/jwks",
        "http://localhost\\@evil.example/jwks",
        "https://ann:secret@issuer.example/jwks",
        "https://ann:sec/ret@issuer.example/jwks",
        "https:///jwks",
        "https://issuer.example:port/jwks",
        "https://issuer.example:0/jwks",
        "https://[::1/jwks",
        "https://issuer.example/a b",
        "https://issuer.example/\n",
        "file:///etc/passwd",
        "ftp://issuer.example/jwks",
    ],
)
def test_keys_come_from_nowhere_else(url: str):
    with pytest.raises(DefinitionRefused, match="expected https://HOST/PATH") as raised:
        checked_jwks_url(url)

    assert "ret@" not in str(raised.value)
