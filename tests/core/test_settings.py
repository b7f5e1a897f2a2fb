"""What the environment says of NATS, and what options say in its place."""

from __future__ import annotations

import pytest

from streams.errors import CredentialsNotUsable
from streams.jetstream.credentials import NOBODY, Credentials, printable, server_at
from streams.settings import nats_credentials

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
