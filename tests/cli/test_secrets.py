"""No command shows a password of a URL or a token: not in its answer, not in what it says of a failure."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from every_command import ALL
from shop_service import invoke

PIECES = ("Zq7hid3n", "Zq7s3cret", "Zq7w0rd")
PASSWORD = "/".join(PIECES)
DATABASES = {
    "unreachable": f"postgresql://u:{PASSWORD}@127.0.0.1:1/db",
    "malformed port": f"postgresql://u:{PASSWORD}@127.0.0.1:port/db",
    "bad option": f"postgresql://u:{'@'.join(PIECES)}@127.0.0.1:1/db?bogus=1",
    "in the query": f"postgresql://u@127.0.0.1:1/db?password={PASSWORD}&sslpassword={PIECES[0]}",
    "wrong scheme": f"mysql://u:{PASSWORD}@h/db",
    "libpq": f"host=127.0.0.1 port=1 user=u password='{' '.join(PIECES)}'",
    "SQLite path": f"sqlite:////proc/u:{PASSWORD}@h/x.db",
    "SQLite query": f"sqlite:////proc/nowhere/x.db?password={PASSWORD}",
}
SERVERS = {
    "unreachable": f"http://u:{PIECES[0]}@127.0.0.1:1",
    "malformed port": f"http://u:{PASSWORD}@127.0.0.1:port",
    "wrong scheme": f"ftp://u:{PASSWORD}@127.0.0.1",
    "no host": f"http://u:{PASSWORD}@",
    "in the query": f"http://127.0.0.1:1/?token={PIECES[1]}",
}
TOKENS = (f"pt_{PIECES[2]}", f"pt_{PIECES[2]}\nx")


def shown_in(*texts: str) -> list[str]:
    return [f"{piece} in {text}" for text in texts for piece in PIECES if piece in text]


def test_the_sweep_goes_over_all_commands() -> None:
    names = {" ".join(arguments[:2]) for arguments in ALL}
    assert len(ALL) >= 40
    assert {"doctor", "migrate", "token list", "schedules backfill"} <= names | {one.split()[0] for one in names}


@pytest.mark.parametrize("database", DATABASES)
def test_no_command_shows_the_password_of_a_database_that_cannot_be_used(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for arguments in (*ALL, ["doctor", "--json"], ["list", "--json"]):
        answer = invoke(*arguments, "--database", DATABASES[database], typed="a password\na password\n")
        assert answer.code != 0, arguments
        assert [] == shown_in(answer.out, answer.err), arguments
    assert [] == shown_in(caplog.text)


@pytest.mark.parametrize("server", SERVERS)
def test_no_command_shows_the_password_or_the_token_of_a_server(
    server: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    for token, tried in zip(TOKENS, (ALL, ALL[:3]), strict=True):
        for arguments in tried:
            answer = invoke(*arguments, "--server", SERVERS[server], "--token", token, typed="a password\n" * 2)
            assert answer.code != 0, arguments
            assert [] == shown_in(answer.out, answer.err), arguments
    assert [] == shown_in(caplog.text)


def test_what_was_typed_in_a_wrong_place_is_quoted_without_the_password() -> None:
    for url in DATABASES.values():
        for arguments in (["doctor", url], ["list", url], [url], ["schedules", "list", url], ["show", "1", url]):
            answer = invoke(*arguments)
            assert answer.code == 2
            if "://" in url:
                assert [] == shown_in(answer.out, answer.err), arguments


@pytest.mark.postgres
def test_no_command_shows_the_password_of_a_database_that_works(postgres_url: str) -> None:
    head, _, rest = postgres_url.partition("://")
    url = f"{head}://postgres:{PIECES[0]}@{rest.partition('@')[2]}&password={PIECES[1]}"
    assert 0 == invoke("migrate", "--database", url).code
    assert "postgres:***@" in invoke("doctor", "--database", url).out
    for arguments in ALL:
        answer = invoke(*arguments, "--database", url, typed="a password\na password\n")
        assert [] == shown_in(answer.out, answer.err), arguments


@pytest.mark.parametrize("database", ["malformed port", "SQLite path", "libpq"])
def test_a_process_that_serves_shows_no_password_of_a_database_that_cannot_be_used(
    database: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(
        "import os, turbine\napp, rt = turbine.new_app(os.environ['SHOP_DATABASE'])\n", encoding="utf-8"
    )
    served = subprocess.run(
        [sys.executable, "-c", "from turbine.cli import main; main()", "serve", "shop:app", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "SHOP_DATABASE": DATABASES[database]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert served.returncode != 0
    assert "Traceback" in served.stderr + served.stdout
    assert [] == shown_in(served.stdout, served.stderr)
