"""What the environment says of NATS and of tokens, and what options say in its place."""

from __future__ import annotations

import pytest

from streams.auth.configuration import TokenSettings
from streams.errors import CredentialsNotUsable, DefinitionRefused
from streams.jetstream.credentials import NOBODY, Credentials, printable, server_at
from streams.settings import nats_credentials, token_settings

ANN = {"STREAMS_NATS_USER": "ann", "STREAMS_NATS_PASSWORD": "pw"}


def test_nothing_set_is_nobody():
    assert nats_credentials({}) == NOBODY
    assert nats_credentials({"STREAMS_NATS_USER": "", "STREAMS_NATS_TLS_CA": ""}) == NOBODY


def test_every_part_has_a_variable():
    files = {"tls_ca": "ca.pem", "tls_cert": "us.pem", "tls_key": "us.key"}
    tls = {f"STREAMS_NATS_{name.upper()}": file for name, file in files.items()}

    assert nats_credentials({**ANN, **tls}) == Credentials(user="ann", password="pw", **files)
    assert nats_credentials({"STREAMS_NATS_TOKEN": "t"}) == Credentials(token="t")
    assert nats_credentials({"STREAMS_NATS_NKEY": "a.nk"}) == Credentials(nkey="a.nk")
    assert nats_credentials({"STREAMS_NATS_CREDS": "a.creds"}) == Credentials(creds="a.creds")


def test_two_forms_in_the_environment_are_refused():
    with pytest.raises(CredentialsNotUsable, match="the user 'ann' with a password, a token"):
        nats_credentials({**ANN, "STREAMS_NATS_TOKEN": "t"})


def test_an_option_counts_and_not_what_the_environment_says_of_the_same():
    assert nats_credentials(ANN, creds="a.creds", nkey=None) == Credentials(creds="a.creds")
    assert nats_credentials(ANN, tls_ca="ca.pem") == Credentials(user="ann", password="pw", tls_ca="ca.pem")


def test_a_certificate_given_as_an_option_does_not_go_with_the_key_of_the_environment():
    environ = {"STREAMS_NATS_TLS_CERT": "old.pem", "STREAMS_NATS_TLS_KEY": "old.key"}

    assert nats_credentials(environ, tls_cert="both.pem") == Credentials(tls_cert="both.pem")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("nats://ann:pw@host", "nats://***@host"),
        ("tls://t0ken@host:1", "tls://***@host:1"),
        ("ann:pw@host", "***@host"),
        ("nats://ann:p@w@host", "nats://***@host"),
        ("nats://ann:p://w@host", "nats://***@host"),
        ("nats://ann:p/w#?@host", "nats://***@host"),
        ("ann:p://w@host", "***@host"),
    ],
)
def test_what_an_address_holds_before_the_at_sign_is_never_printed(url: str, shown: str):
    assert printable(url) == shown
    assert server_at(url).url == shown.replace("***@", "")
    assert "pw" not in repr(server_at(url))


def test_a_user_and_a_password_of_an_address_may_be_percent_encoded():
    assert server_at("nats://a%40b:p%2Fw@host").credentials == Credentials(user="a@b", password="p/w")
    assert server_at("nats://ann:@host").credentials == Credentials(user="ann", password="")
    assert server_at("nats://t%3Ak@host").credentials == Credentials(token="t:k")


def test_nothing_set_is_no_tokens():
    empty = ("SECRET", "PUBLIC_KEY", "JWKS_URL", "ISSUER", "AUDIENCE", "LEEWAY")

    assert token_settings({}) == TokenSettings()
    assert token_settings({f"STREAMS_JWT_{name}": "" for name in empty}) == TokenSettings()
    assert not TokenSettings().has_keys


def test_everything_about_tokens_has_a_variable():
    environ = {"STREAMS_JWT_ISSUER": "i", "STREAMS_JWT_AUDIENCE": "a", "STREAMS_JWT_LEEWAY": "2.5"}
    whose = {"issuer": "i", "audience": "a", "leeway_seconds": 2.5}

    for name in ("secret", "public_key", "jwks_url"):
        found = token_settings({**environ, f"STREAMS_JWT_{name.upper()}": "x"})

        assert found == TokenSettings(**{name: "x"}, **whose)
        assert found.has_keys


def test_keys_given_as_an_option_are_the_only_ones():
    environ = {"STREAMS_JWT_SECRET": "s", "STREAMS_JWT_JWKS_URL": "https://a"}

    assert token_settings(environ, public_key="a.pem") == TokenSettings(public_key="a.pem")
    assert token_settings(environ, jwks_url="https://b") == TokenSettings(jwks_url="https://b")


def test_no_audience_counts_before_the_audience_of_the_environment():
    environ = {"STREAMS_JWT_AUDIENCE": "a", "STREAMS_JWT_ISSUER": "i"}

    assert token_settings(environ, no_audience=True) == TokenSettings(issuer="i", no_audience=True)
    assert token_settings(environ, audience="b", issuer="j") == TokenSettings(issuer="j", audience="b")


def test_a_leeway_that_is_no_number_is_refused():
    with pytest.raises(DefinitionRefused, match="STREAMS_JWT_LEEWAY='10s' is not a number of seconds; unset"):
        token_settings({"STREAMS_JWT_LEEWAY": "10s"})
