"""Tokens, hosts and sockets of a server."""

import socket

import pytest

from metaeval_hub.serve.guard import is_loopback
from metaeval_hub.serve.server import check_host, open_socket, read_token

TOKEN = "0123456789abcdef"


def test_token_of_a_file_or_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("METAEVAL_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("METAEVAL_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}{TOKEN}\n")
    assert read_token(file) == TOKEN * 2
    for wrong in ("", "short", f"{TOKEN} {TOKEN}", f"{TOKEN}é"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="contains no usable token; expected one line of at least 16 ASCII"):
            read_token(file)
    with pytest.raises(OSError, match=r"^the token file .*nowhere cannot be read: No such file"):
        read_token(tmp_path / "nowhere")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback_needs_no_token(host):
    assert is_loopback(host)
    check_host(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "localhost.example", "example.org", ""])
def test_other_hosts_need_a_token(host):
    with pytest.raises(ValueError, match="needs a token; pass --token-file FILE, or set METAEVAL_TOKEN"):
        check_host(host, None)
    check_host(host, TOKEN)


def test_a_port_that_is_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be used: .*; choose another one with --p"):
            open_socket("127.0.0.1", port)
    with pytest.raises(ValueError, match="--port is 70000; expected 0 to 65535"):
        open_socket("127.0.0.1", 70_000)
