"""What runs on the other machine when packets are captured there: a shell script, by stdin.

The script is sent to ``/bin/sh`` as its input and not as an argument, so that the login shell
(fish, csh, whatever it is) has nothing to parse. What a user may have typed comes in as
single-quoted words and is never part of a command.

tcpdump ends with a broken pipe only when it has a packet to write, which may be never. So
the script watches its standard input: its end is the end of the connection, or of us, and
then tcpdump is told to go. A line that comes asks for the counters of dropped packets. (Where
sudo allows tcpdump and no shell, root's tcpdump cannot be told, and ends at the next packet
that passes its filter.)
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from capture.live.settings import SNAPLEN, CaptureSettings

BEGIN: Final = b"tunnelscope: packets follow\n"
"""Printed before the packets: a login shell's greetings come before it."""
NO_TCPDUMP: Final = "tunnelscope: there is no tcpdump"
NOT_PERMITTED: Final = "tunnelscope: not permitted"
NOT_EXCLUDED: Final = "tunnelscope: own connection unknown"

# The connection is excluded by both ends. Its addresses are those that the other machine
# sees; a scope (fe80::1%eth0) or a mapped IPv4 address means nothing in a filter. tcpdump
# hands packets over once a second unless it is told to be immediate. Its SIGUSR1 prints the
# counters, but ended it in old versions.
_SCRIPT: Final = r"""{
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
interface=@INTERFACE@
filter=@FILTER@
begin=@BEGIN@
watch='
trap "" HUP INT
exec 3<&0
printf "%s\n" "$1"
asks=$2
shift 2
"$@" </dev/null 3<&- &
tcpdump=$!
trap "kill $tcpdump" TERM
(
    while read -r line; do
        test "$asks" = no || kill -USR1 "$tcpdump"
    done
    kill "$tcpdump"
) <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&- >/dev/null
wait "$tcpdump"
status=$?
kill "$watcher" 2>/dev/null
exit $status
'
command -v tcpdump >/dev/null || { echo "@NO_TCPDUMP@" >&2; exit 1; }
become=
if problem=$(tcpdump -i "$interface" -L 2>&1); then :; else
    case $problem in
    *[Pp]ermission*|*"not permitted"*)
        if sudo -n tcpdump -i "$interface" -L >/dev/null 2>&1; then become="sudo -n"
        else echo "@NOT_PERMITTED@: $(command -v tcpdump)" >&2; exit 1; fi ;;
    *) echo "$problem" >&2; exit 1 ;;
    esac
fi
set -- ${SSH_CONNECTION:-}
for end do shift; end=${end%%%*}; set -- "$@" "${end#::ffff:}"; done
if test $# -eq 4; then own="not (tcp and host $1 and port $2 and host $3 and port $4)"
else own="not tcp port 22"; echo "@NOT_EXCLUDED@" >&2; fi
usage=$(tcpdump -h 2>&1)
set -- tcpdump -i "$interface" @OPTIONS@
case $usage in *immediate-mode*) set -- "$@" --immediate-mode ;; esac
asks=no
case $usage in *"tcpdump version 4.99."*|*"tcpdump version 5."*) asks=yes ;; esac
set -- "$@" -- "${filter:+($filter) and }$own"
if test -z "$become"; then exec sh -c "$watch" sh "$begin" "$asks" "$@"; fi
if sudo -n sh -c : 2>/dev/null; then exec sudo -n sh -c "$watch" sh "$begin" "$asks" "$@"; fi
exec sh -c "$watch" sh "$begin" no sudo -n "$@"
}
"""

_DROPPED: Final = re.compile(r"(\d+) packets? dropped by (kernel|interface)")


def script(settings: CaptureSettings) -> bytes:
    """The script that captures what the settings ask for and writes pcap to its output.

    It reads its input to the end, and ends itself then.
    """
    options = ["-n", "-U", "-w", "-"]
    if settings.buffer_mib:
        options += ["-B", str(settings.buffer_mib * 1024)]
    # A snaplen of 0 is the largest one; old versions refuse today's.
    options += ["-s", str(0 if settings.snaplen >= SNAPLEN else settings.snaplen)]
    if not settings.promiscuous:
        options.append("-p")
    words = {
        "OPTIONS": shlex.join(options),
        "BEGIN": shlex.quote(BEGIN.decode().rstrip("\n")),
        "NO_TCPDUMP": NO_TCPDUMP,
        "NOT_PERMITTED": NOT_PERMITTED,
        "NOT_EXCLUDED": NOT_EXCLUDED,
        "INTERFACE": shlex.quote(settings.interfaces[0]),
        "FILTER": shlex.quote(settings.filter),
    }
    # In one pass: what was put in is not looked into again.
    return re.sub("@([A-Z_]+)@", lambda name: words[name[1]], _SCRIPT).encode()


def dropped(line: str) -> dict[str, int]:
    """Counters in a line that tcpdump printed: ``kernel``, ``interface``."""
    return {who: int(count) for count, who in _DROPPED.findall(line)}
