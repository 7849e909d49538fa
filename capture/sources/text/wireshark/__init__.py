"""The packet list of Wireshark and tshark, as it is pasted, exported or piped."""

from __future__ import annotations
