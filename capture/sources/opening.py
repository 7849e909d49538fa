"""Opens a capture of any kind, told by its content and never by its name."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from capture.frames import FileSource, SourceInfo, UnreadableInput
from capture.sources import pcap
from capture.sources.streams import (
    FileStream,
    Rewound,
    Stream,
    compression_of,
    open_stream,
    read_exactly,
    unpack,
)

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore, Spool

_HEAD: Final = 4096
"""Bytes looked at to tell a format; a live pipe is not made to wait for so many."""
_FIRST: Final = 24
"""Bytes that every binary capture has: a pcap file's header. No pcapng is shorter."""
_FIRST_SECONDS: Final = 0.5
"""A pipe is given so long to say what it holds, before it is opened without."""
_PCAPNG: Final = b"\n\r\r\n"

_FOREIGN: Final = (
    (b"\x7fELF", "an ELF program"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "bzip2-compressed data"),
    (b"\x04\x22\x4d\x18", "lz4-compressed data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"snoop\0\0\0", "a snoop capture"),
    (b"GMBU", "a Microsoft Network Monitor capture"),
    (b"RTSS", "a Microsoft Network Monitor capture"),
    (b"TRSNIFF data", "a Sniffer capture"),
    (b"XCP\0", "a NetXray capture"),
)


def open_source(path: str, *, spool: bool = False) -> FileSource:
    """Open a capture: pcap, pcapng or text of tcpdump or tshark, packed or not, from a file
    or a pipe.

    Args:
        path: File name; ``-`` is the standard input.
        spool: Make every frame available again through ``source.store``. A pipe that says
            nothing at first is then opened in ``blocks()``, so that a screen need not wait.

    Raises:
        UnreadableInput: It does not exist, may not be read, or is no capture.
    """
    stream = open_stream(path)
    info = SourceInfo(path, "")
    if spool and not stream.ready(_FIRST_SECONDS):
        from capture.sources.waiting import WaitingSource

        return WaitingSource(stream, info, open_from)
    return open_from(stream, info, spool=spool)


def open_from(stream: FileStream, info: SourceInfo, *, spool: bool) -> FileSource:
    """Open what a stream holds, told by its first bytes; waits for them.

    Args:
        stream: Standing at its start; closed when this fails.
        info: Filled in; ``path`` is set.
        spool: Make every frame available again through ``source.store``.

    Raises:
        UnreadableInput: It is no capture, or cannot be read.
    """
    try:
        return _open(stream, info, spool)
    except OSError as error:
        stream.close()
        raise UnreadableInput(str(error.strerror or error).lower()) from None
    except BaseException:
        stream.close()
        raise


def _open(file: FileStream, info: SourceInfo, spool: bool) -> FileSource:
    head, stream = _peek(file)
    if not head:
        raise UnreadableInput("is empty")
    info.compression = compression_of(head)
    if info.compression:
        head, stream = _peek(unpack(stream, info.compression))
        if not head:
            raise UnreadableInput(stream.damage or f"holds nothing but {info.compression} framing")
    if pcap.is_pcap(head):
        info.format = "pcap"
        try:
            header = pcap.parse_header(head)
        except ValueError as error:
            raise UnreadableInput(f"is a pcap file {error}") from None
        read_exactly(stream, header.size)
        keep, store = _keeper(info, file, spool, checked=header.record == 16)
        return pcap.PcapSource(info, stream, header, _start(stream) + header.size, keep, store)
    if head.startswith(_PCAPNG):
        from capture.sources.pcapng import PcapngSource

        info.format = "pcapng"
        keep, store = _keeper(info, file, spool, checked=True)
        return PcapngSource(info, stream, _start(stream), keep, store)
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            raise UnreadableInput(f"is {name}, not a capture that can be read here")
    if not _looks_like_text(head):
        raise UnreadableInput("is no capture: neither pcap, pcapng nor text of tcpdump or tshark")
    from capture.sources.text import TextSource

    info.format = "tcpdump-text"
    source = TextSource(info, stream)
    source.spool, source.store = _keeper(info, file, spool, checked=None)
    return source


def _peek(stream: Stream) -> tuple[bytes, Stream]:
    """The first bytes of a stream, and a stream that still has them."""
    if isinstance(stream, FileStream) and stream.regular:
        return stream.peek(_HEAD), stream
    head = read_exactly(stream, _FIRST)
    buffer = bytearray(_HEAD)
    while len(head) >= _FIRST and len(head) < _HEAD and stream.ready(0):
        count = stream.readinto(memoryview(buffer)[: _HEAD - len(head)])
        if not count:
            break
        head += buffer[:count]
    return head, Rewound(head, stream)


def _start(stream: Stream) -> int:
    return stream.start if isinstance(stream, FileStream) else 0


def _keeper(
    info: SourceInfo, file: FileStream, spool: bool, checked: bool | None
) -> tuple[Spool | None, PacketStore | None]:
    """What is needed to fetch frames again: a store, and a spool where there is no file.

    Args:
        info: Told when there is no room.
        file: What is read, in the end.
        spool: Whether frames are to be fetched.
        checked: See ``FileStore``; None where they do not lie anywhere as they are.
    """
    if not spool:
        return None, None
    from capture.keeping.store import FileSpool, FileStore

    if checked is not None and file.rereadable and not info.compression:
        return None, FileStore(file.fd, checked)
    kept: Spool
    try:
        if file.total is None:  # it may go on for days
            from capture.keeping.spool import RollingSpool

            kept = RollingSpool()
        else:
            kept = FileSpool()
    except OSError as error:
        info.warn(
            "spool-full",
            f"no room for temporary data ({error.strerror}): packets cannot be looked at in detail",
        )
        return None, None
    return kept, kept.store()


def _looks_like_text(head: bytes) -> bool:
    """Whether bytes are text in some encoding (UTF-16 only with its byte order mark)."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    odd = sum(byte < 32 and byte not in b"\t\n\r\x0b\x0c\x1b" for byte in head)
    return b"\0" not in head and odd * 50 <= len(head)
