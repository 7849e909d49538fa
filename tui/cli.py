"""The entry point ``tunnelscope``: reads the command line and starts what it asks for.

``check`` has to start fast, so everything is imported where it is used: neither textual
nor rich nor scapy is touched unless the screen opens.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from capture.collector import STARTING, set_aside, work_rarely
from capture.protocols.text import printable
from tui.command.arguments import UsageError, parse
from tui.command.output import OutputFailed, ReaderLeft, narrate, prepare, write_chunks
from tui.command.reporting import Wanted, report_coming, report_files

if TYPE_CHECKING:
    from argparse import Namespace

    from capture.live.settings import CaptureSettings
    from capture.options import AnalysisOptions
    from tui.config import Config
    from tui.feeds import Feed

EXIT_OK: Final = 0
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

RATES_OVER_S: Final = 0.5
"""How long ``interfaces`` counts packets."""

_STDIN: Final = "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``tunnelscope`` and return its exit code."""
    _start_no_threads()
    work_rarely(STARTING)
    atexit.register(set_aside)  # else all would be walked once more: 14 ms of 20 (measured)
    prepare(sys.stdout)
    prepare(sys.stderr)
    try:
        return _run(parse(sys.argv[1:] if argv is None else argv))
    except SystemExit as done:  # argparse, after -h and -V
        return _flushed(done.code if isinstance(done.code, int) else EXIT_OK)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (UsageError, OutputFailed) as error:
        narrate(str(error))
        return EXIT_USAGE
    except ReaderLeft:
        return EXIT_OK


def _start_no_threads() -> None:
    """Let numpy's linear algebra, which nothing here uses, start no threads when it is imported:
    they look for work for 70 ms, while the other processor finds records (measured: 4 % of the
    processor time of a capture of a million packets), and what forks had better have none."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _run(arguments: Namespace) -> int:
    config = _configured(arguments)
    if arguments.command == "print-config":
        return _print_config(config)
    if arguments.command == "completion":
        return _completion(arguments.completion)
    if arguments.command == "check":
        return _check(arguments)
    if arguments.command == "demo":
        return _demo(arguments)
    if arguments.command == "interfaces":
        return _interfaces(arguments)
    screen = _has_terminal(arguments.read)
    if arguments.command == "start" and not screen:
        raise UsageError(
            "name a capture: tunnelscope FILE; or see tunnelscope demo, tunnelscope -h"
        )
    options = _options(arguments)
    if screen:
        return _screen(arguments, _feed(arguments), options)
    if arguments.settings is not None:
        return _report_live(arguments.settings, options, Wanted(ascii_only=arguments.ascii))
    return report_files([arguments.read], options, Wanted(ascii_only=arguments.ascii))


def _configured(arguments: Namespace) -> Config:
    """Read the configuration and let it say what the command line left open.

    Raises:
        UsageError: It cannot be used.
    """
    from tui.config import ConfigError, load

    try:
        config = load(arguments.config)
    except ConfigError as error:
        raise UsageError(str(error)) from None
    arguments.configured = config
    if arguments.command not in ("interfaces", "print-config", "completion"):
        # The command line comes last: of two words for one thing the later one counts.
        arguments.proxy = [*config.proxies, *arguments.proxy]
        arguments.rules = [*config.rules, *arguments.rules]
    arguments.ascii = arguments.ascii or config.ascii
    return config


def _print_config(config: Config) -> int:
    from tui.config import printed
    from tui.keys.key_map import bindable

    write_chunks(printed(config, bindable(config.keys)), None)
    return EXIT_OK


def _completion(shell: str) -> int:
    from tui.shared import completion

    write_chunks([completion(shell)], None)
    return EXIT_OK


def _feed(arguments: Namespace) -> Feed | None:
    """What the screen shows; None: the user will choose there."""
    from tui.feeds import FileFeed, LiveFeed

    if arguments.command == "start":
        return None
    if arguments.settings is not None:
        return LiveFeed(_here(arguments.settings))
    return FileFeed(arguments.read, follow=arguments.follow)


def _here(settings: CaptureSettings) -> CaptureSettings:
    """The settings with interfaces of this machine.

    Raises:
        UsageError: There is one that it does not have.
    """
    from tui.feeds import FeedFailed, interfaces_here

    try:
        return interfaces_here(settings)
    except FeedFailed as error:
        raise UsageError(str(error)) from None


def _interfaces(arguments: Namespace) -> int:
    import time

    from capture.live.interfaces import RateMeter, interface_lines, list_interfaces
    from tui.command import proxies

    meter = RateMeter()
    meter.sample()
    rates = None
    found = list_interfaces(proxies.from_environment())
    if not arguments.list_interfaces:  # -D answers at once
        time.sleep(RATES_OVER_S)
        rates = meter.sample()
    lines = interface_lines(found, rates)
    write_chunks((f"{line}\n" for line in lines), None, ascii_only=arguments.ascii)
    return EXIT_OK


def _check(arguments: Namespace) -> int:
    from capture.report.render import needs_steps, needs_texts

    options = _options(
        arguments,
        keep_other=arguments.all,
        keep_steps=needs_steps(arguments.format),
        keep_texts=needs_texts(arguments.format),
    )
    wanted = _wanted(arguments)
    if arguments.settings is not None:
        return _report_live(arguments.settings, options, wanted)
    if arguments.paths == [_STDIN]:
        from tui.feeds import FileFeed, may_come_late

        if may_come_late(_STDIN):
            return report_coming(FileFeed(_STDIN, screen=False), options, wanted)
    return report_files(arguments.paths, options, wanted, jobs=arguments.jobs)


def _wanted(arguments: Namespace) -> Wanted:
    return Wanted(arguments.format, arguments.fail_on, arguments.output, ascii_only=arguments.ascii)


def _report_live(settings: CaptureSettings, options: AnalysisOptions, wanted: Wanted) -> int:
    """Capture until the user or a condition stops it, judge, and write the report."""
    from tui.feeds import LiveFeed

    feed = LiveFeed(_here(settings))
    told = f"listening on {feed.title}; Ctrl+C ends it and reports"
    return report_coming(feed, options, wanted, told=told)


def _demo(arguments: Namespace) -> int:
    from capture.demo import DEFAULT, UnknownDemo, find_demo

    if arguments.list:
        write_chunks(_demo_list(), None, ascii_only=arguments.ascii)
        return EXIT_OK
    try:
        demo = find_demo(arguments.name or DEFAULT)
    except UnknownDemo as error:
        raise UsageError(str(error)) from None
    path, options = str(demo.path), _options(arguments)
    if _has_terminal(path):
        from tui.feeds import FileFeed

        return _screen(arguments, FileFeed(path, f"demo: {demo.name}"), options)
    # A demo shows problems on purpose: they are no failure of the command.
    return report_files([path], options, Wanted(fail_on="never", ascii_only=arguments.ascii))


def _demo_list() -> Iterator[str]:
    from capture.demo import list_demos

    demos = list_demos()
    width = max((len(demo.name) for demo in demos), default=0)
    for demo in demos:
        yield f"{demo.name:<{width}}  {demo.title}\n"


def _screen(arguments: Namespace, feed: Feed | None, options: AnalysisOptions) -> int:
    from tui.app import run

    config: Config = arguments.configured
    return run(
        feed,
        options=options,
        settings=arguments.settings,
        ascii=arguments.ascii,
        mouse=config.mouse and not arguments.no_mouse,
        theme=arguments.theme or config.theme,
        slow_link=arguments.slow_link or config.slow_link,
        looks=replace(
            config,
            redact=config.redact and not arguments.no_redact,
            anonymize=config.anonymize or arguments.anonymize,
        ),
        other=getattr(arguments, "other", None) or "",
    )


def _has_terminal(path: str | None) -> bool:
    """Whether a screen can be drawn and keys can be read (from /dev/tty when stdin is data)."""
    out, keys = sys.stdout, sys.stdin
    if out is None or not out.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return path == _STDIN or (keys is not None and keys.isatty())


def _options(
    arguments: Namespace,
    *,
    keep_other: bool = False,
    keep_steps: bool = True,
    keep_texts: bool = True,
) -> AnalysisOptions:
    """What the user said about the analysis.

    Raises:
        UsageError: A proxy or a directory of rules is not one.
    """
    from capture.options import AnalysisOptions
    from tui.command import proxies

    told = []
    try:
        for text in arguments.proxy:
            told.append(proxies.parse_proxy(text))
        if arguments.iprep_proxy_conf:
            told.append(proxies.from_iprep_conf(arguments.iprep_proxy_conf))
    except proxies.BadProxy as error:
        raise UsageError(str(error)) from None
    for host, _ in told:
        if not proxies.is_address(host):
            narrate(f"{host}: names are not looked up; unless the capture is text, give an address")
    for directory in arguments.rules:
        if not os.path.isdir(directory):
            raise UsageError(f"rules in {directory}: no such directory")
    if arguments.rules:
        from capture.judging.catalogue import Catalogue, CatalogueError

        try:  # before any capture is read: a slip in a rule is no fault of a capture
            Catalogue.load(arguments.rules)
        except CatalogueError as error:
            raise UsageError(str(error)) from None
    return AnalysisOptions(
        proxies=proxies.unique((*told, *proxies.from_environment())),
        keep_other=keep_other,
        keep_steps=keep_steps,
        keep_texts=keep_texts,
        resolve=arguments.resolve,
        tls_keylog=_tls_keylog(arguments),
        rules=tuple(arguments.rules),
        thresholds=tuple(sorted(arguments.configured.thresholds.items())),
        display_filter=_display_filter(arguments.display_filter),
        keep_packets=bool(arguments.display_filter.strip()),
    )


def _tls_keylog(arguments: Namespace) -> str:
    """The key log to decrypt with; empty for none.

    Raises:
        UsageError: It cannot be used.
    """
    named = arguments.tls_keylog
    if named is None and not os.environ.get("SSLKEYLOGFILE"):
        return ""
    from tui.command.tls_keys import BadKeyLog, chosen_keylog

    # Of a capture that still runs, the client that writes the keys may be yet to start.
    coming = arguments.settings is not None or getattr(arguments, "follow", False)
    try:
        return chosen_keylog(named, may_come=coming)
    except BadKeyLog as error:
        raise UsageError(f"--tls-keylog: {printable(str(error), 300)}") from None


def _display_filter(text: str) -> str:
    """A filter that compiles; what it may not mean so is said on stderr.

    Raises:
        UsageError: It cannot be understood.
    """
    if not text.strip():
        return ""
    from capture.filtering import FilterError, compile_filter

    try:
        hints = compile_filter(text).hints
    except FilterError as error:
        raise UsageError(f"-Y: {error.pointed(text)}") from None
    for hint in hints:
        narrate(f"-Y: {hint}")
    return text


def _flushed(code: int) -> int:
    """Flush what argparse has printed; a reader that has left is no error."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        return EXIT_OK
    return code


if __name__ == "__main__":
    sys.exit(main())
