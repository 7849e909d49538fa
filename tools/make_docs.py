"""Write what is derived from the command line: shell completion and the manual page.

``python -m tools.make_docs [--check]``. The parsers in ``tui.command.arguments`` and the bindings
of the screens are the only source; ``--check`` (which the tests use) says what is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from capture import __version__
from tui.command.arguments import parsers
from tui.shared import COMPLETIONS, DIRECTORY

MANUAL: Final = "man/man1/tunnelscope.1"

_SUMMARIES: Final = {
    "check": "judge captures without a screen",
    "demo": "show a capture that comes with the program",
    "interfaces": "list what -i takes",
}

_EXIT: Final = (
    ("0", "no finding at or above --fail-on"),
    ("1", "there is one"),
    ("2", "usage or configuration"),
    ("3", "cannot capture: permission or interface"),
    ("4", "input unreadable"),
    ("130", "interrupted"),
)
_EXAMPLES: Final = (
    ("Watch live, and keep the packets", "tunnelscope -i eth0 -w out.pcapng port 3128"),
    ("Watch another machine", "tunnelscope --ssh root@box -i eth0 port 80"),
    ("Look at a capture", "tunnelscope capture.pcapng"),
    ("Beside one that works", "tunnelscope bad.pcapng --with good.pcapng"),
    ("A report for a ticket", "tunnelscope check --format markdown capture.pcapng"),
    ("In a script", "tunnelscope check --format json capture.pcapng | jq .summary"),
)
_ENVIRONMENT: Final = (
    ("http_proxy, https_proxy", "endpoints that count as proxies"),
    ("NO_COLOR", "draw without colour"),
    ("COLORFGBG, TERM, COLORTERM", "tell which theme fits"),
    ("ESCDELAY", "milliseconds in which what follows an Escape is a part of the same key"),
    ("XDG_CONFIG_HOME", "where the configuration lies"),
)
_FILES: Final = (
    ("$XDG_CONFIG_HOME/tunnelscope/config.toml", "the configuration; --print-config shows it"),
    ("$XDG_CONFIG_HOME/tunnelscope/rules/*.toml", "own known issues"),
)


def documents() -> dict[str, str]:
    """Every file by its place below ``share``."""
    made = {place: _completion(shell) for shell, place in COMPLETIONS.items()}
    made[MANUAL] = "".join(_manual())
    return made


# Completion


_FIRST: Final = {
    "bash": """
_tunnelscope_first() {
  compgen -W "check demo interfaces" -- "$1"
  _shtab_compgen_files "$1"
}
"""
}
"""What completes the first word, which is a command or a file."""
_DESCRIBE: Final = "  _describe 'tunnelscope commands' _commands\n"


def _completion(shell: str) -> str:
    import shtab

    known = parsers()
    top = known.pop("")
    top.prog = "tunnelscope"
    file = next(action for action in top._actions if not action.option_strings)
    if shell == "bash":
        file.complete = {"bash": "_tunnelscope_first"}  # type: ignore[attr-defined]
    else:
        top._actions.remove(file)
    # For completion the commands are subparsers; the real ones are told apart before argparse,
    # since a first word that is no command is a file.
    commands = top.add_subparsers(title="commands")
    for name, parser in known.items():
        chosen = commands.add_parser(name, help=_SUMMARIES[name], add_help=False)
        for action in parser._actions:
            chosen._add_action(_completed(action))
    for action in top._actions:
        _completed(action)
    text: str = shtab.complete(top, shell=shell, preamble=_FIRST)
    if shell == "fish":
        text += "\ncomplete -c tunnelscope -n _shtab_tunnelscope_using -F\n"
    elif shell == "zsh":
        assert _DESCRIBE in text
        text = text.replace(_DESCRIBE, f"{_DESCRIBE}  _files\n")
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).rstrip("\n") + "\n"


def _completed(action: argparse.Action) -> argparse.Action:
    """Say what an option's value is: shtab completes files and directories."""
    import shtab

    kinds: dict[str, Any] = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    kind = kinds.get(action.metavar) if isinstance(action.metavar, str) else None
    if kind is not None and action.choices is None and not hasattr(action, "complete"):
        action.complete = kind  # type: ignore[attr-defined]
    return action


# The manual page (man-pages(7), groff_man(7))


def _manual() -> Iterator[str]:
    known = parsers()
    top = known.pop("")
    yield f'.TH TUNNELSCOPE 1 "" "tunnelscope {__version__}" "User Commands"\n'
    yield ".SH NAME\ntunnelscope \\- why does the tunnel through the proxy fail?\n"
    yield ".SH SYNOPSIS\n"
    usages = [parser.usage or parser.prog for parser in (top, *known.values())]
    for line in dict.fromkeys(line.strip() for usage in usages for line in usage.splitlines()):
        yield f".br\n{_roff(line)}\n"
    yield ".SH DESCRIPTION\n"
    yield (
        "tunnelscope watches an interface or reads a capture, follows every tunnel through an "
        "HTTP proxy (SYN, CONNECT, 200, TLS, data, FIN), and names the known issue: at which "
        "step the tunnel broke, which error code the proxy gave, on which packets that rests, "
        "and what to do next.\n.PP\n"
        "It reads pcap, pcapng, both compressed with gzip, xz or zstd, and the text that "
        "tcpdump prints.\n"
    )
    yield ".SH OPTIONS\n"
    yield from _options(top)
    for name, parser in known.items():
        yield f".SH {name.upper()}\n{_roff(parser.description or '')}\n"
        yield from _options(parser)
    yield ".SH KEYS\n"
    yield "Every key can be changed in the configuration, by the name in brackets.\n"
    yield from _keys()
    for title, pairs in (
        ("EXIT STATUS", _EXIT), ("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES),
    ):  # fmt: skip
        yield f".SH {title}\n"
        for term, text in pairs:
            yield f".TP\n.B {_roff(term)}\n{_roff(text)}\n"
    yield ".SH EXAMPLES\n"
    for text, command in _EXAMPLES:
        yield f".PP\n{_roff(text)}:\n.PP\n.RS\n.EX\n{_roff(command)}\n.EE\n.RE\n"
    yield ".SH SEE ALSO\n"
    yield ".BR tcpdump (8),\n.BR tshark (1),\n.BR dumpcap (1),\n.BR pcap\\-filter (7)\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for group in parser._action_groups:
        shown = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        if not shown:
            continue
        title = group.title or ""
        if title not in ("options", "positional arguments"):
            yield f".SS {_roff(title)}\n"
        for action in shown:
            yield f".TP\n{_term(action)}\n{_roff(_help(parser, action))}\n"


def _term(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0 and action.option_strings:
        if action.choices is not None:
            value = "|".join(map(str, action.choices))
        else:
            value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    names = action.option_strings or [str(action.metavar or action.dest)]
    terms = ", ".join(f"\\fB{_roff(name)}\\fR" for name in names)
    return f"{terms} \\fI{_roff(value)}\\fR" if value else terms


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = action.help or ""
    return text % {**vars(action), "prog": parser.prog}


def _keys() -> Iterator[str]:
    from tui.keys.key_map import bindable

    for name, keys, description in bindable({}):
        if not name.startswith("list."):
            shown = keys.replace(",", ", ")
            yield f".TP\n.B {_roff(shown)}\n{_roff(description)} [{_roff(name)}]\n"


def _roff(text: str) -> str:
    """Text that groff sets as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{text}" if text[:1] in (".", "'") else text


# Files


def out_of_date() -> list[Path]:
    """Files that do not say what the parsers say."""
    return [
        DIRECTORY / place
        for place, text in documents().items()
        if not (DIRECTORY / place).is_file()
        or (DIRECTORY / place).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Command line."""
    if "--check" in arguments:
        stale = out_of_date()
        for path in stale:
            print(f"{path} is out of date: python -m tools.make_docs", file=sys.stderr)
        return 1 if stale else 0
    for place, text in documents().items():
        path = DIRECTORY / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
