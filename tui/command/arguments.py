"""What the command line understands. Letters as tcpdump and tshark users know them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from capture import __version__
from capture.protocols.text import printable
from capture.report.render import FORMATS
from tui.command.capture_arguments import LONE, add_capture, capture_settings

if TYPE_CHECKING:
    from capture.live.settings import CaptureSettings

COMMANDS: Final = ("check", "demo", "interfaces")
SHELLS: Final = ("bash", "fish", "zsh")
FAIL_ON: Final = ("problem", "warning", "info", "never")

_VALUED: Final = frozenset({
    "-r", "--read", "--with", "--format", "--fail-on", "--jobs", "-j", "-o", "--output", "--proxy",
    "--iprep-proxy-conf", "--tls-keylog", "--rules", "--theme", "--config", "--completion",
    "-i", "--ssh", "-f", "-w", "-c", "-a", "-b", "-s", "-B", "-Z", "-Y",
})  # fmt: skip
"""Options followed by a value (a test compares them with the parsers)."""

_MAIN_EPILOG: Final = """\
commands:
  tunnelscope                  choose: an interface with its live rate, a recent capture, a demo
  tunnelscope -i IF [BPF...]   watch live; check -i IF does it without a screen
  tunnelscope FILE             show a capture on the screen (also -r FILE; -r - reads a pipe)
  tunnelscope FILE --with FILE2  compare a tunnel with its counterpart in another capture
  tunnelscope check FILE...    judge captures without a screen; check -h for its options
  tunnelscope demo [NAME]      show a capture that comes with the program; demo --list names them
  tunnelscope interfaces       list what -i takes (also -D)

examples:
  tunnelscope -i eth0 -w out.pcapng port 3128
  tunnelscope --ssh root@box -i eth0 host 10.10.10.1 and port 80
  ssh root@box tcpdump -U -s0 -w - port 80 | tunnelscope -r -

Reads pcap, pcapng, both compressed with gzip, xz or zstd, and text as tcpdump, tshark or
Wireshark's packet list print it. Without a terminal the report is printed instead of the
screen.
"""

_CHECK_EPILOG: Final = """\
exit status:
  0  nothing at or above --fail-on      3  cannot capture
  1  something at or above it           4  a file could not be read (the others are judged)
  2  usage or configuration           130  interrupted
"""


class UsageError(Exception):
    """The command line or a configuration is wrong. ``str()`` is one line."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(printable(f"{message} ({self.prog} -h shows the options)"))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Understand a command line.

    Returns:
        ``command`` is ``screen`` (with ``read``, a file, or None), ``start`` (the start
        screen), ``check`` (with ``paths``), ``demo`` or ``interfaces``. Where packets are to
        be captured, ``settings`` says how; else it is None.

    Raises:
        UsageError: It cannot be understood.
        SystemExit: After ``-h`` and ``-V``.
    """
    words = list(argv)
    position = _first_word(words)
    word = words[position] if position is not None else ""
    if position is None or word not in COMMANDS:
        arguments = _screen_parser().parse_intermixed_args(words, _namespace("screen"))
        return _screen(arguments)
    del words[position]
    parser = {
        "check": _check_parser,
        "demo": _demo_parser,
        "interfaces": _interfaces_parser,
    }[word]()
    arguments = parser.parse_intermixed_args(words, _namespace(word))
    return _check(arguments) if word == "check" else arguments


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Fresh parsers by command; the screen's has the name ``""``."""
    return {
        "": _screen_parser(),
        "check": _check_parser(),
        "demo": _demo_parser(),
        "interfaces": _interfaces_parser(),
    }


def _namespace(command: str) -> argparse.Namespace:
    return argparse.Namespace(command=command, settings=None)


def _first_word(words: Sequence[str]) -> int | None:
    """Index of the first word that is neither an option nor an option's value."""
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif word == "--":
            return None
        elif word.startswith("-") and word != "-":
            skip = word in _VALUED
        else:
            return index
    return None


def _screen(arguments: argparse.Namespace) -> argparse.Namespace:
    """Settle what the screen is to show."""
    if arguments.list_interfaces:
        arguments.command = "interfaces"
        return arguments
    if arguments.print_config:
        arguments.command = "print-config"
        return arguments
    if arguments.completion is not None:
        arguments.command = "completion"
        return arguments
    if arguments.interfaces or arguments.ssh is not None:
        if arguments.read is not None:
            raise UsageError("-r reads a capture, -i and --ssh make one: give one of them")
        if arguments.follow:
            raise UsageError("--follow goes with a file; what -i and --ssh capture is followed")
        if arguments.other is not None:
            raise UsageError("--with compares captures that are complete: not with -i and --ssh")
        arguments.settings = _settings(arguments, arguments.file)
        return arguments
    files = [name for name in (arguments.read, *arguments.file) if name is not None]
    if len(files) > 1:
        raise UsageError("the screen shows one capture; tunnelscope check FILE... reads several")
    if not files:
        if arguments.follow:
            raise UsageError("--follow needs the file to follow")
        if arguments.other is not None:
            raise UsageError("--with needs two captures: tunnelscope FILE --with FILE2")
        arguments.command = "start"
        arguments.settings = _settings(arguments, ())
        return arguments
    _only_captures(arguments)
    arguments.read = files[0]
    if arguments.follow and arguments.read == "-":
        raise UsageError("--follow is for files: a pipe is followed anyway")
    return arguments


def _check(arguments: argparse.Namespace) -> argparse.Namespace:
    """Settle what ``check`` is to judge."""
    arguments.paths = []
    if arguments.interfaces or arguments.ssh is not None:
        if arguments.read:
            raise UsageError("-r reads captures, -i and --ssh make one: give one of them")
        if arguments.jobs is not None:
            raise UsageError("-j goes with files: a capture is judged as it comes")
        arguments.settings = _settings(arguments, arguments.file)
        return arguments
    _only_captures(arguments)
    arguments.paths = [*arguments.read, *arguments.file]
    if not arguments.paths:
        raise UsageError("check needs a capture: tunnelscope check FILE..., or check -i IF")
    if arguments.paths.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    return arguments


def _only_captures(arguments: argparse.Namespace) -> None:
    """Refuse what means something for a capture only.

    Raises:
        UsageError: It was given with a file.
    """
    for name, letter in LONE.items():
        if getattr(arguments, name) not in (None, [], False):
            raise UsageError(f"{letter} is for a capture with -i or --ssh, not for files")


def _settings(arguments: argparse.Namespace, words: Sequence[str]) -> CaptureSettings:
    try:
        return capture_settings(arguments, words)
    except ValueError as error:
        raise UsageError(printable(str(error))) from None


def _base(prog: str, description: str, epilog: str, usage: str) -> _Parser:
    parser = _Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        usage=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"tunnelscope {__version__}")
    parser.add_argument("--config", metavar="FILE", help="read this configuration, not the usual")
    return parser


def _add_analysis(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what counts as a proxy, what counts as an issue")
    group.add_argument(
        "--proxy",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="treat as a proxy even where no request is seen; repeatable "
        "($http_proxy and $https_proxy count, too)",
    )
    group.add_argument(
        "--iprep-proxy-conf",
        metavar="FILE",
        help="take the proxy from an appliance's iprep_proxy.conf",
    )
    group.add_argument(
        "--tls-keylog",
        metavar="FILE",
        help="open TLS with the secrets that a client or server logs there "
        "($SSLKEYLOGFILE counts, too)",
    )
    group.add_argument(
        "--rules", action="append", default=[], metavar="DIR", help="own known issues (*.toml)"
    )
    group.add_argument(
        "-Y",
        dest="display_filter",
        default="",
        metavar="EXPR",
        help="display filter: only the tunnels (on the screen: and packets) that match, as in "
        "'status == 403 and target contains \"cisco\"'",
    )
    group.add_argument(
        "--resolve",
        action="store_true",
        help="show the names of clients and proxies: those in the capture, and what the system "
        "knows, which may ask a name server",
    )
    group.add_argument(
        "-n", dest="resolve", action="store_false", help="numbers, no names (the default)"
    )


def _add_screen(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("screen")
    group.add_argument("--ascii", action="store_true", help="draw with ASCII only")
    group.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    group.add_argument("--theme", metavar="NAME", help="dark, light, ansi, high-contrast, ...")
    group.add_argument(
        "--no-redact",
        action="store_true",
        help="keep credentials in the captures and streams that you save from the screen",
    )
    group.add_argument(
        "--anonymize",
        action="store_true",
        help="make up addresses and names in the captures that you save from the screen",
    )
    group.add_argument(
        "--slow-link", action="store_true", help="draw seldom, for links of a few kB/s"
    )


def _screen_parser() -> _Parser:
    parser = _base(
        "tunnelscope",
        "Why does the tunnel through the proxy fail? Reads a capture and names the known issue.",
        _MAIN_EPILOG,
        "tunnelscope [options] [FILE]\n       tunnelscope [options] -i IF [BPF...]\n"
        "       tunnelscope check [options] FILE...\n       tunnelscope demo [options] [NAME]",
    )
    parser.add_argument(
        "file", nargs="*", metavar="FILE",
        help="a capture; - is standard input; after -i: the words of the capture filter",
    )  # fmt: skip
    parser.add_argument("-r", "--read", metavar="FILE", help="the same, as tcpdump has it")
    parser.add_argument(
        "--follow", action="store_true", help="FILE still grows: show what is added"
    )
    parser.add_argument(
        "--with", dest="other", metavar="FILE2",
        help="compare the selected tunnel with its counterpart in this capture",
    )  # fmt: skip
    parser.add_argument(
        "-D", dest="list_interfaces", action="store_true", help="list the interfaces for -i"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the configuration with its defaults"
    )
    parser.add_argument(
        "--completion", choices=SHELLS, metavar="SHELL",
        help="print the completion for bash, fish or zsh",
    )  # fmt: skip
    add_capture(parser)
    _add_analysis(parser)
    _add_screen(parser)
    return parser


def _check_parser() -> _Parser:
    parser = _base(
        "tunnelscope check",
        "Judges captures without a screen: the report on stdout, all else on stderr.",
        _CHECK_EPILOG,
        "tunnelscope check [options] FILE...\n       tunnelscope check [options] -i IF [BPF...]",
    )
    parser.add_argument(
        "file", nargs="*", metavar="FILE",
        help="captures; - is standard input; after -i: the words of the capture filter",
    )  # fmt: skip
    parser.add_argument(
        "-r", "--read", action="append", default=[], metavar="FILE", help="the same, for the habit"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report there")
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default="problem",
        help="exit with 1 for findings from this severity on (default: %(default)s)",
    )
    parser.add_argument(
        "-j", "--jobs", type=_positive, metavar="N", help="files read at the same time"
    )
    parser.add_argument(
        "--all", action="store_true", help="list the TCP flows that are not to a proxy, too"
    )
    parser.add_argument("--ascii", action="store_true", help="write ASCII only")
    add_capture(parser)
    _add_analysis(parser)
    return parser


def _interfaces_parser() -> _Parser:
    parser = _base(
        "tunnelscope interfaces",
        "Lists the interfaces that -i takes, with addresses and state.",
        "",
        "tunnelscope interfaces",
    )
    parser.add_argument("--ascii", action="store_true", help="write ASCII only")
    parser.set_defaults(list_interfaces=False)
    return parser


def _demo_parser() -> _Parser:
    parser = _base(
        "tunnelscope demo",
        "Shows a capture that comes with the program: a healthy tunnel or a known issue.",
        "",
        "tunnelscope demo [options] [NAME]",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one; see --list")
    parser.add_argument("--list", action="store_true", help="list them")
    _add_analysis(parser)
    _add_screen(parser)
    return parser


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 0 < number <= 1024:
        raise argparse.ArgumentTypeError(f"not a number from 1 to 1024: {text!r}")
    return number
