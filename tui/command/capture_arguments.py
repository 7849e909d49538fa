"""The options of live capture, with the letters and units of tcpdump and dumpcap."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capture.live.settings import CaptureSettings, Ring, StopWhen

__all__ = ["LONE", "add_capture", "capture_settings"]

LONE: Final = {
    "filter": "-f", "write": "-w", "count": "-c", "autostop": "-a", "ring": "-b",
    "snaplen": "-s", "no_promiscuous": "-p", "buffer": "-B", "user": "-Z",
}  # fmt: skip
"""What means something for a capture only, by its name in the namespace."""

SNAPLEN_MAX: Final = 262_144
"""pcap's own limit (MAXIMUM_SNAPLEN): no tool takes more of a packet."""
BUFFER_MAX_MIB: Final = 2047
"""The kernel takes the size of a buffer as a signed number of 32 bits."""
_NUMBER_MAX: Final = 10**15

_STOPS: Final = {
    "duration": "duration_s",
    "filesize": "filesize_kb",
    "files": "files",
    "packets": "packets",
}
"""Conditions of ``-a`` and ``-b``, and the fields of ``StopWhen`` and ``Ring``."""

Condition = tuple[str, float]


def add_capture(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser; ``capture_settings`` reads what they gave."""
    group = parser.add_argument_group("live capture (letters and units as tcpdump and dumpcap)")
    group.add_argument(
        "-i", dest="interfaces", action="append", default=[], metavar="IF",
        help="capture on an interface, by name or by its number in -D; repeatable; any: all",
    )  # fmt: skip
    group.add_argument(
        "--ssh", metavar="USER@HOST", help="capture on that machine, with its tcpdump"
    )
    group.add_argument("-f", dest="filter", metavar="BPF", help="capture filter; trailing words do")
    group.add_argument("-w", dest="write", metavar="FILE", help="keep the packets (pcapng)")
    group.add_argument(
        "-c", dest="count", type=_whole("packets", 1), metavar="N", help="stop after N packets"
    )
    group.add_argument(
        "-a", dest="autostop", action="append", default=[], type=_condition, metavar="WHEN:N",
        help="stop after duration:SECONDS, filesize:KB, files:N, packets:N; repeatable",
    )  # fmt: skip
    group.add_argument(
        "-b", dest="ring", action="append", default=[], type=_condition, metavar="WHEN:N",
        help="start the next file of -w after duration:SECONDS, filesize:KB, packets:N; "
        "files:N keeps the last N; repeatable",
    )  # fmt: skip
    group.add_argument(
        "-s", dest="snaplen", type=_whole("bytes", 0, SNAPLEN_MAX), metavar="BYTES",
        help="keep so much of a packet (default: all of it)",
    )  # fmt: skip
    group.add_argument("-p", dest="no_promiscuous", action="store_true", help="no promiscuous mode")
    group.add_argument(
        "-B", dest="buffer", type=_whole("MiB", 1, BUFFER_MAX_MIB), metavar="MIB",
        help="kernel buffer of each interface",
    )  # fmt: skip
    group.add_argument(
        "-Z", dest="user", metavar="USER",
        help="started as root: become this user once the sockets are open",
    )  # fmt: skip


def capture_settings(arguments: argparse.Namespace, words: Sequence[str]) -> CaptureSettings:
    """What the options ask for. Neither interfaces nor users are looked up here.

    Args:
        arguments: With the attributes of ``add_capture``.
        words: Trailing words: the capture filter.

    Raises:
        ValueError: They do not go together; the message is one line.
    """
    from capture.live.settings import BUFFER_MIB, SNAPLEN, CaptureSettings

    interfaces = tuple(dict.fromkeys(arguments.interfaces))
    _check_interfaces(interfaces, arguments.ssh)
    if words and arguments.filter:
        raise ValueError("the capture filter is given twice: by -f and by trailing words")
    if "" in (arguments.write, arguments.user, arguments.ssh):
        raise ValueError("-w, -Z and --ssh need a name that is not empty")
    if arguments.write == "-":
        raise ValueError("-w - would write packets over the screen and the report: name a file")
    ring = _ring(arguments)
    return CaptureSettings(
        interfaces=interfaces,
        filter=" ".join(words) or (arguments.filter or "").strip(),
        snaplen=arguments.snaplen or SNAPLEN,
        promiscuous=not arguments.no_promiscuous,
        buffer_mib=arguments.buffer or BUFFER_MIB,
        stop=_stop_when(arguments, ring),
        write=arguments.write,
        ring=ring,
        user=arguments.user,
        ssh=arguments.ssh,
    )


def _check_interfaces(interfaces: Sequence[str], ssh: str | None) -> None:
    for name in interfaces:
        if name == "-":
            raise ValueError("-i -: packets of a pipe are read with -r -")
        if not name or name.startswith("-") or not name.isprintable():
            raise ValueError(f"-i {name!r}: not an interface's name")
    if "any" in interfaces and len(interfaces) > 1:
        raise ValueError("-i any has every interface in it: name no other")
    if ssh is None:
        return
    if ssh.startswith("-") or not ssh.isprintable() or any(char.isspace() for char in ssh):
        raise ValueError(f"--ssh {ssh!r}: not USER@HOST")
    if len(interfaces) != 1:
        raise ValueError("--ssh needs one -i: an interface of that machine, or any")


def _stop_when(arguments: argparse.Namespace, ring: Ring | None) -> StopWhen:
    from capture.live.settings import StopWhen

    given = dict(arguments.autostop)
    if arguments.count is not None:
        given["packets"] = min(arguments.count, given.get("packets", arguments.count))
    if "files" in given and ring is None:
        raise ValueError("-a files:N counts the files of -b: give -b as well")
    return StopWhen(**_fields(given))  # type: ignore[arg-type]


def _ring(arguments: argparse.Namespace) -> Ring | None:
    from capture.live.settings import Ring

    given = dict(arguments.ring)
    if not given:
        return None
    if arguments.write is None:
        raise ValueError("-b changes the file of -w: give -w FILE as well")
    if given.keys() == {"files"}:
        raise ValueError("-b files:N keeps files, but when is the next one started? Add -b "
                         "filesize:KB, duration:SECONDS or packets:N")  # fmt: skip
    return Ring(**_fields(given))  # type: ignore[arg-type]


def _fields(given: dict[str, float]) -> dict[str, float]:
    return {
        _STOPS[name]: value if name == "duration" else int(value) for name, value in given.items()
    }


def _condition(text: str) -> Condition:
    """``duration:30``, ``filesize:1000``: as dumpcap writes them, numbers above zero."""
    name, _, value = text.partition(":")
    if name not in _STOPS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of duration:SECONDS, filesize:KB, files:N, packets:N"
        )
    if name != "duration":
        return name, _whole(name, 1)(value)
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _NUMBER_MAX:
        raise argparse.ArgumentTypeError(f"duration: not a number of seconds: {value!r}")
    return name, seconds


def _whole(what: str, least: int, most: int = _NUMBER_MAX) -> Callable[[str], int]:
    """A converter for whole numbers within bounds."""

    def convert(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1
        if not least <= number <= most:
            bounds = f"from {least} to {most}" if most < _NUMBER_MAX else f"from {least} on"
            raise argparse.ArgumentTypeError(f"{what}: not a number {bounds}: {text!r}")
        return number

    return convert
