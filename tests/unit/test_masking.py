"""What is secret in a URL is hidden, in the URL itself and in what others say about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turbine import Config
from turbine.masking import mask_text, mask_url, scrub, secrets_of

WORDS = ("hid3n", "s3cret")
URLS = {
    "postgresql://u:hid3n@host:5432/db": "postgresql://u:***@host:5432/db",
    "postgresql://u:hid3n@s3cret@host/db": "postgresql://u:***@host/db",
    "postgresql://u:hid3n/s3cret@host/db": "postgresql://u:***@host/db",
    "postgresql://u:hid3n:s3cret@host/db": "postgresql://u:***@host/db",
    "postgresql://u:hid3n%40s3cret@host/db": "postgresql://u:***@host/db",
    "postgresql://u:hid3n?s3cret@host/db": "postgresql://u:***@host/db",
    "postgresql://u:hid3n@[::1]:5432/db": "postgresql://u:***@[::1]:5432/db",
    "postgresql://u:hid3n@one:1,two:2/db": "postgresql://u:***@one:1,two:2/db",
    "postgresql://u@host/db?password=hid3n&sslmode=require": "postgresql://u@host/db?password=***&sslmode=require",
    "postgresql://u@host/db?sslpassword=hid3n&password=s3cret": "postgresql://u@host/db?sslpassword=***&password=***",
    "postgresql://u@host/db?password=hid3n&s3cret": "postgresql://u@host/db?password=***",
    "postgresql://u@host/db?p%61ssword=hid3n": "postgresql://u@host/db?p%61ssword=***",
    "host=h password=hid3n user=u": "host=h password=*** user=u",
    "host=h password='hid3n s3cret' user=u": "host=h password=*** user=u",
    r"password = 'hid3n\'s3cret' host=h": "password = *** host=h",
    "sqlite:////srv/u:hid3n@h/x.db": "sqlite:////srv/u:***@h/x.db",
    "mysql://u:hid3n@h/db": "mysql://u:***@h/db",
    "https://hid3n@host/x": "https://***@host/x",
    "https://u:hid3n@host/x?token=s3cret&a=1": "https://u:***@host/x?token=***&a=1",
    "https://host/x?X-Amz-Signature=hid3n&api_key=s3cret": "https://host/x?X-Amz-Signature=***&api_key=***",
    "s3://AKIA:hid3n@bucket/folder": "s3://AKIA:***@bucket/folder",
}
PLAIN = (
    "postgresql://u@host:5432/db?sslmode=require",
    "postgresql://host/db?passfile=/home/u/.pgpass",
    "postgresql:///db?host=/tmp/sockets&user=u",
    "postgresql://[::1]:5432/db?application_name=a@b",
    "sqlite:///turbine_data/turbine.db",
    "sqlite://:memory:",
    "https://example.com/hooks/turbine?a=1",
)


@pytest.mark.parametrize(("url", "shown"), URLS.items())
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown == mask_url(url)
    assert shown == mask_url(shown)


@pytest.mark.parametrize("url", PLAIN)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert url == mask_url(url)
    assert set() == secrets_of(url)


@pytest.mark.parametrize("url", URLS)
def test_a_text_of_others_shows_no_piece_of_a_password(url: str) -> None:
    pieces = [piece for piece in WORDS if piece in url]
    told = f'cannot use {url!r}; invalid port "{pieces[0]}"; host {pieces[-1]}@host; option {pieces[0]}, {url}'
    shown = scrub(told, url)
    assert not [piece for piece in pieces if piece in shown], shown
    assert "cannot use" in shown


@pytest.mark.parametrize("url", [url for url in URLS if "://" in url and "sqlite" not in url and "%61" not in url])
def test_a_url_in_a_text_is_masked_though_nobody_knows_it(url: str) -> None:
    assert not [word for word in WORDS if word in mask_text(f"ConnectError: <{url}> is away")]


def test_short_pieces_are_hidden_where_they_are_quoted() -> None:
    url = "postgresql://u:a@b/c@host/db"
    told = 'invalid integer value "c" for option "port"; could not translate host name "b/c@host"; an a in a word'
    assert '"b/c' not in scrub(told, url)
    assert '"c"' not in scrub(told, url)
    assert "an a in a word" in scrub(told, url)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters=" \t\r\n\0'\"\\&"), min_size=6, max_size=20))
def test_no_password_whatever_it_is_made_of_is_shown(password: str) -> None:
    url = f"postgresql://somebody:Zq{password}Zq@host/db?sslpassword=Zq{password.replace('@', '')}Zq"
    assert f"Zq{password}Zq" not in mask_url(url)
    assert f"Zq{password}Zq" not in scrub(f"cannot read {url}, or Zq{password}Zq", url)


def test_a_token_is_hidden_too() -> None:
    assert "Illegal header value 'Bearer ***'" == scrub("Illegal header value 'Bearer pt_hid3n'", tokens=["pt_hid3n"])


def test_a_config_shows_no_password_and_of_objects_only_what_they_are() -> None:
    class Codec:
        def __repr__(self) -> str:
            return "Codec(key='hid3n')"

    config = Config(product_storage="s3://AKIA:hid3n@bucket", codec=Codec())  # type: ignore[arg-type]
    assert "hid3n" not in f"{config} {config!r}"
    assert "product_storage='s3://AKIA:***@bucket'" in repr(config)
    assert "lease=datetime.timedelta(seconds=10)" in repr(config)


def test_a_setting_of_the_environment_that_cannot_be_read_is_quoted_without_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TURBINE_LEASE", "postgresql://u:hid3n@host/db")
    with pytest.raises(ValueError, match="TURBINE_LEASE") as caught:
        Config.load()
    assert "hid3n" not in str(caught.value)
