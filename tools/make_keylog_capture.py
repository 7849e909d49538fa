"""Makes ``tests/data/decrypt/tls_keylog.pcap`` and ``.keys``: tunnels with known secrets.

``sudo unshare -n python -m tools.make_keylog_capture [DIR]``: server, proxy, client and tcpdump
run in a network namespace of their own, which ends with the script.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PROXY_PORT: Final = 3128
FIRST_PORT: Final = 4430
HOST: Final = "tools.example.com"
REQUEST: Final = (
    b"GET /answer HTTP/1.1\r\nHost: tools.example.com\r\n"
    b"Authorization: Basic dXNlcjpodW50ZXIy\r\nUser-Agent: openssl\r\n\r\n"
)
ANSWER: Final = (
    b"HTTP/1.1 302 Found\r\nLocation: https://tools.example.com/next\r\n"
    b"Set-Cookie: session=hunter3\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n"
    b"over there\r\n"
)

SCENARIOS: Final = (
    # Name, options of the client, options of the server, what is typed before the request.
    ("13-aes128-gcm", "-ciphersuites TLS_AES_128_GCM_SHA256", "", b""),
    ("13-aes256-gcm", "-ciphersuites TLS_AES_256_GCM_SHA384", "", b""),
    ("13-chacha", "-ciphersuites TLS_CHACHA20_POLY1305_SHA256", "", b""),
    ("13-ccm8", "-ciphersuites TLS_AES_128_CCM_8_SHA256", "-ciphersuites TLS_AES_128_CCM_8_SHA256",
     b""),
    ("13-retry", "-groups X25519:P-384", "-groups P-384", b""),
    ("13-key-update", "-tls1_3", "", b"K\n"),
    ("13-padding", "-record_padding 256", "-record_padding 256", b""),
    ("13-rejected", "-verify_return_error -verify 1", "", b""),
    ("12-aes128-gcm", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "", b""),
    ("12-aes256-gcm", "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", "", b""),
    ("12-chacha", "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "", b""),
    ("12-ccm", "-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM", "-cipher ALL", b""),
    ("12-cbc-sha", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", "", b""),
    ("12-cbc-sha384", "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384", "", b""),
    ("12-cbc-mac-first", "-tls1_2 -no_etm -cipher ECDHE-ECDSA-AES256-SHA", "", b""),
    ("12-renegotiated", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
     "-client_renegotiation", b"R\n"),
)  # fmt: skip


def main(folder: Path) -> None:
    """Make both files in ``folder``."""
    if not shutil.which("tcpdump") or len(socket.if_nameindex()) > 1:
        sys.exit("needs tcpdump, openssl, and a network namespace of its own (unshare -n)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    capture, keys = folder / "tls_keylog.pcap", folder / "tls_keylog.keys"
    keys.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch, _proxy(), _tcpdump(capture):
        _certificate(scratch)
        (Path(scratch) / "answer").write_bytes(ANSWER)
        for number, (_, client, server, typed) in enumerate(SCENARIOS):
            port = FIRST_PORT + number
            with _server(scratch, port, server):
                _client(scratch, port, client, typed, keys)
    wanted = (b"CLIENT_RANDOM", b"CLIENT_HAND", b"SERVER_HAND", b"CLIENT_TRAF", b"SERVER_TRAF")
    lines = [line for line in keys.read_bytes().splitlines() if line.startswith(wanted)]
    keys.write_bytes(b"# secrets of the tunnels in tls_keylog.pcap\n" + b"\n".join(lines) + b"\n")


def _certificate(scratch: str) -> None:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650"
        f" -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=scratch, check=True, capture_output=True)


@contextmanager
def _server(scratch: str, port: int, options: str) -> Iterator[None]:
    command = f"openssl s_server -accept {port} -cert cert.pem -key key.pem -HTTP -naccept 2"
    with _running([*command.split(), *options.split()], cwd=scratch):
        _wait_for(port)
        yield


def _client(scratch: str, port: int, options: str, typed: bytes, keys: Path) -> None:
    command = (
        f"openssl s_client -proxy 127.0.0.1:{PROXY_PORT} -connect 127.0.0.1:{port}"
        f" -servername {HOST} -keylogfile {keys} -ign_eof {options}"
    )
    words = [word for word in command.split() if not typed or word != "-ign_eof"]
    quiet = subprocess.DEVNULL
    client = subprocess.Popen(words, cwd=scratch, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
    assert client.stdin is not None
    with suppress(BrokenPipeError):  # it has left: so it does when it rejects a certificate
        for piece in (typed, REQUEST):
            time.sleep(0.4)
            client.stdin.write(piece)
            client.stdin.flush()
        time.sleep(0.4)
        client.stdin.close()
    client.wait(10)


@contextmanager
def _tcpdump(capture: Path) -> Iterator[None]:
    command = ["tcpdump", "-i", "lo", "-U", "-Z", "root", "-w", str(capture)]
    with _running([*command, "port", str(PROXY_PORT)]):
        time.sleep(1)
        yield
        time.sleep(1)


@contextmanager
def _running(command: list[str], cwd: str | None = None) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=cwd, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(50):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


@contextmanager
def _proxy() -> Iterator[None]:
    listener = socket.create_server(("127.0.0.1", PROXY_PORT))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_tunnel, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.close()


def _tunnel(client: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(4096)
    host, _, port = head.split()[1].rpartition(b":")
    server = socket.create_connection((host.decode(), int(port)))
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    back = threading.Thread(target=_copy, args=(server, client), daemon=True)
    back.start()
    _copy(client, server)
    back.join()
    client.close()
    server.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "tests/data/decrypt").absolute())
