"""A small network in namespaces: client - router - proxy, router - origins.

Real programs (squid, curl, OpenSSL) talk over it, so that the demo captures hold what real
proxies send. Needs root, iproute2, nftables, squid, curl, openssl, tcpdump.

    client 10.40.40.1 ==wire== router -- proxy 10.10.10.1
                                 ==wire== origins 72.163.4.161, 198.51.100.0/24
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tools.servers import ORIGINS
from tools.wire import Wire

# Names of our own: a lab that was killed has left its namespaces.
_NAME = f"ts{secrets.token_hex(3)}"
CLIENT, ROUTER, PROXY, ORIGIN = (f"{_NAME}{end}" for end in ("c", "r", "p", "o"))
ROOT = Path(__file__).resolve().parent.parent
_START_S = 60.0
"""A guard against hanging: a server that does not listen by then never will."""

_SQUID = """
http_port 80
http_port 3128
visible_hostname proxy.example
pid_filename none
cache deny all
access_log none
cache_log {directory}/squid.log
cache_store_log none
coredump_dir {directory}
netdb_filename none
hosts_file {directory}/hosts
dns_nameservers 127.0.0.1
err_page_stylesheet {directory}/empty.css
shutdown_lifetime 0 seconds
connect_timeout 4 seconds
forward_timeout 5 seconds
auth_param basic program /usr/lib/squid/basic_ncsa_auth {directory}/passwd
auth_param basic realm proxy
acl password_port localport 3128
acl users proxy_auth REQUIRED
acl CONNECT method CONNECT
acl ssl_ports port 443
acl blocked dstdomain blocked.example.com
http_access deny CONNECT !ssl_ports
http_access deny blocked
http_access allow password_port users
http_access deny password_port
http_access allow all
"""


def run(*command: str, check: bool = True, text: str | None = None) -> str:
    """Run a command to its end; what it printed."""
    done = subprocess.run(command, check=check, input=text, capture_output=True, text=True)
    return done.stdout


class Lab:
    """The network, up between ``with`` and its end."""

    def __init__(self) -> None:
        # Not where TMPDIR may lead: squid is not root, and root's directories are closed to it.
        self._temporary = tempfile.TemporaryDirectory(prefix="tunnelscope-lab-", dir="/tmp")
        self.directory = Path(self._temporary.name)
        self.access = Wire((CLIENT, "eth0"), (ROUTER, "access"), delay_s=0.009)
        """Between client and router: the place of a path's faults."""
        self.internet = Wire((ROUTER, "internet"), (ORIGIN, "eth0"), delay_s=0.021)
        self._started: list[subprocess.Popen[bytes]] = []
        self.squid: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Lab:
        try:
            self._connect()
            self._make_certificates()
            self._start_servers()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what was started here, in the namespaces made here, and remove them."""
        for process in self._started:
            process.kill()
            process.wait()
        for namespace in (CLIENT, ROUTER, PROXY, ORIGIN):
            for pid in run("ip", "netns", "pids", namespace, check=False).split():
                os.kill(int(pid), signal.SIGKILL)
        self.access.stop()
        self.internet.stop()
        for namespace in (CLIENT, ROUTER, PROXY, ORIGIN):
            run("ip", "netns", "del", namespace, check=False)
        self._temporary.cleanup()

    def start(self, namespace: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in a namespace; it ends with the lab at the latest."""
        with (self.directory / "errors.log").open("ab") as errors:
            process = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=ROOT,
            )
        self._started.append(process)
        return process

    def python(self, namespace: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``python -m ARGUMENTS`` in a namespace."""
        return self.start(namespace, sys.executable, "-m", *arguments)

    def curl(
        self, port: int, *arguments: str, proxy: int | None = 80, wait: bool = True
    ) -> subprocess.Popen[bytes]:
        """Run curl from the client's ``port``, by default through the proxy."""
        through = ["--proxy", f"http://10.10.10.1:{proxy}"] if proxy else []
        process = self.start(
            CLIENT, "curl", "--silent", "--show-error", "--output", "/dev/null",
            "--cacert", str(self.directory / "ca.pem"), "--local-port", str(port),
            *through, *arguments,
        )  # fmt: skip
        if wait:
            process.wait()
        return process

    def send(self, port: int, data: bytes, *, proxy: int = 80, wait_s: float = 3.0) -> None:
        """Write bytes to the proxy from the client's ``port``, read for a while, hang up."""
        program = (
            "import socket,sys,time\n"
            f"s = socket.create_connection(('10.10.10.1', {proxy}), 5, ('10.40.40.1', {port}))\n"
            f"s.settimeout({wait_s})\n"
            f"s.sendall(bytes.fromhex('{data.hex()}'))\n"
            "try:\n while s.recv(65536): pass\n"
            "except OSError: pass\n"
        )
        self.start(CLIENT, sys.executable, "-c", program).wait()

    def capture(self, path: Path) -> subprocess.Popen[bytes]:
        """Begin to capture at the client; pcapng (with dumpcap) or pcap by the suffix."""
        path.unlink(missing_ok=True)
        if path.suffix == ".pcapng":
            command = ["dumpcap", "-q", "-i", "eth0", "-s", "0", "-w", str(path)]
        else:
            command = [
                "tcpdump",
                "--immediate-mode",
                "-i",
                "eth0",
                "-s",
                "0",
                "-U",
                "-w",
                str(path),
            ]
        process = self.start(CLIENT, *command)
        for _ in range(100):
            if path.exists() and path.stat().st_size >= 24:
                break
            time.sleep(0.05)
        time.sleep(0.4)
        return process

    def end_capture(self, process: subprocess.Popen[bytes]) -> None:
        """Let the last packets come in, then stop the capture."""
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        process.wait()

    def end_clients(self) -> None:
        """End clients that still run."""
        for pid in run("ip", "netns", "pids", CLIENT).split():
            os.kill(int(pid), signal.SIGKILL)

    def start_squid(self) -> None:
        """Start squid, or another after the last one was ended."""
        # -N in a namespace of its own: the process is squid itself, ready to be stopped.
        self.squid = self.start(PROXY, "squid", "-N", "-f", str(self.directory / "squid.conf"))
        self.await_server(PROXY, 3128)

    def await_server(self, namespace: str, port: int, kind: str = "t") -> None:
        """Wait until somebody listens on a port: ``kind`` is "t" for TCP, "u" for UDP.

        Raises:
            RuntimeError: Nobody does; the message is what the servers said.
        """
        give_up = time.monotonic() + _START_S
        while not run("ip", "netns", "exec", namespace, "ss", f"-Hl{kind}n", f"sport = :{port}"):
            if time.monotonic() > give_up:
                logs = [self.directory / name for name in ("errors.log", "squid.log")]
                said = "\n".join(log.read_text("utf-8", "replace") for log in logs if log.exists())
                raise RuntimeError(f"nobody listens on {port}: {said[-2000:]}")
            time.sleep(0.05)

    def _connect(self) -> None:
        for namespace in (CLIENT, ROUTER, PROXY, ORIGIN):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
            for key in ("all", "default"):
                path = f"net.ipv6.conf.{key}.disable_ipv6=1"
                # A kernel without IPv6 has no such setting.
                run("ip", "netns", "exec", namespace, "sysctl", "-qw", path, check=False)
        self.access.start()
        self.internet.start()
        run("ip", "-n", ROUTER, "link", "add", "inside", "type", "veth",
            "peer", "name", "eth0", "netns", PROXY)  # fmt: skip
        addresses: Sequence[tuple[str, str, str]] = (
            (CLIENT, "eth0", "10.40.40.1/24"),
            (ROUTER, "access", "10.40.40.254/24"),
            (ROUTER, "inside", "10.10.10.254/24"),
            (PROXY, "eth0", "10.10.10.1/24"),
            (ROUTER, "internet", "198.51.100.254/24"),
            *((ORIGIN, "eth0", f"{address}/24") for address in ORIGINS.values()),
        )
        for namespace, device, address in addresses:
            run("ip", "-n", namespace, "address", "add", address, "dev", device)
            run("ip", "-n", namespace, "link", "set", device, "up")
        run("ip", "-n", ROUTER, "route", "add", "72.163.4.0/24", "dev", "internet")
        for namespace, gateway in (
            (CLIENT, "10.40.40.254"),
            (PROXY, "10.10.10.254"),
            (ORIGIN, "198.51.100.254"),
        ):
            run("ip", "-n", namespace, "route", "add", "default", "via", gateway)
        run("ip", "netns", "exec", ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def _make_certificates(self) -> None:
        curve = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        here = self.directory
        for ca, name in (("ca", "Example Root CA"), ("gateway", "Example Inspection Gateway CA")):
            run(
                *("openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", *curve),
                *("-subj", f"/O=Example/CN={name}"),
                *("-keyout", f"{here}/{ca}.key", "-out", f"{here}/{ca}.pem"),
            )
        (here / "leaf.ext").write_text(
            f"subjectAltName={','.join(f'DNS:{name}' for name in ORIGINS)}\n"
        )
        for leaf, ca, subject, days, key in (
            ("good", "ca", "tools.cisco.com", "30", curve),
            ("large", "ca", "www.example.com", "30", ["rsa:4096"]),
            ("expired", "ca", "expired.example.com", "-1", curve),
            ("private", "gateway", "reputation.example.net", "30", ["rsa:2048"]),
        ):
            base = f"{here}/{leaf}"
            run(
                *("openssl", "req", "-nodes", "-newkey", *key),
                *("-subj", f"/O=Example/CN={subject}"),
                *("-keyout", f"{base}.key", "-out", f"{base}.csr"),
            )
            run(
                *("openssl", "x509", "-req", "-in", f"{base}.csr", "-days", days),
                *("-CA", f"{here}/{ca}.pem", "-CAkey", f"{here}/{ca}.key", "-CAcreateserial"),
                *("-extfile", f"{here}/leaf.ext", "-out", f"{base}.crt"),
            )
            parts = (f"{base}.key", f"{base}.crt", f"{here}/{ca}.pem")
            Path(f"{base}.pem").write_text("".join(Path(part).read_text() for part in parts))

    def _start_servers(self) -> None:
        self.directory.chmod(0o755)
        hosts = "".join(f"{address} {name}\n" for name, address in ORIGINS.items())
        (self.directory / "hosts").write_text("127.0.0.1 localhost\n" + hosts)
        # Obviously made up; shown masked by the tool anyway.
        password = run("openssl", "passwd", "-apr1", "not-a-secret").strip()
        (self.directory / "passwd").write_text(f"demo:{password}\n")
        (self.directory / "squid.conf").write_text(_SQUID.format(directory=self.directory))
        # squid's own style sheet would be a third of every error page.
        (self.directory / "empty.css").touch()
        (self.directory / "squid.log").touch()
        for name in ("hosts", "passwd", "squid.conf", "empty.css"):
            (self.directory / name).chmod(0o644)  # squid is not root, whatever the umask
        (self.directory / "squid.log").chmod(0o666)
        self.python(PROXY, "tools.servers", "--dns")
        self.python(ORIGIN, "tools.servers", str(self.directory))
        self.start_squid()
        self.await_server(PROXY, 53, "u")
        self.await_server(ORIGIN, 80)  # the last one that is started there
