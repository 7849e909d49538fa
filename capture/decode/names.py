"""Words for frames that are not decoded: they must explain an empty screen."""

from __future__ import annotations

from typing import Final

_ETHERTYPES: Final = {
    0x0806: "ARP",
    0x0842: "Wake-on-LAN",
    0x2000: "CDP",
    0x2004: "DTP",
    0x010B: "PVST+ spanning tree",
    0x22F0: "AVTP",
    0x22F3: "TRILL",
    0x6002: "DECnet MOP",
    0x6003: "DECnet",
    0x8035: "RARP",
    0x809B: "AppleTalk",
    0x80F3: "AppleTalk ARP",
    0x8137: "IPX",
    0x8808: "Ethernet flow control",
    0x8809: "LACP and other slow protocols",
    0x8863: "PPPoE discovery",
    0x886D: "Intel ANS probe",
    0x8874: "Broadcom switch tag",
    0x887B: "HomePlug",
    0x888E: "802.1X (EAPOL)",
    0x8892: "PROFINET",
    0x8899: "Realtek loop detection",
    0x88A2: "ATA over Ethernet",
    0x88A4: "EtherCAT",
    0x88CA: "TIPC",
    0x88CC: "LLDP",
    0x88E1: "HomePlug AV",
    0x88E3: "Media Redundancy Protocol",
    0x88E5: "MACsec (encrypted)",
    0x88F7: "PTP",
    0x8902: "Connectivity fault management",
    0x8903: "Cisco FabricPath",
    0x8906: "Fibre Channel over Ethernet",
    0x8914: "FCoE initialisation",
    0x8915: "RoCE",
    0x894F: "NSH",
    0x9000: "Ethernet loopback test",
    0x9003: "Huawei loop detection",
}

_LLC_SAPS: Final = {
    0x06: "LLC with raw IP",
    0x42: "STP",
    0xE0: "IPX",
    0xF0: "NetBIOS over LLC",
    0xFE: "IS-IS and other OSI protocols",
    0xFF: "IPX (raw 802.3)",
}

_IP_PROTOCOLS: Final = {
    2: "IGMP",
    8: "EGP",
    9: "IGRP",
    27: "RDP",
    33: "DCCP",
    46: "RSVP",
    50: "ESP (encrypted IPsec)",
    59: "IPv6 without a next header",
    88: "EIGRP",
    89: "OSPF",
    103: "PIM",
    108: "IPComp (compressed)",
    112: "VRRP or CARP",
    115: "L2TPv3",
    124: "IS-IS over IP",
    132: "SCTP",
    136: "UDP-Lite",
    240: "PFSYNC",
    255: "reserved IP protocol 255",
}

_PPP_PROTOCOLS: Final = {
    0x002D: "PPP with compressed TCP headers",
    0x002F: "PPP with compressed TCP headers",
    0x003D: "PPP multilink",
    0x0053: "PPP encryption",
    0x00FD: "PPP compression",
    0xC021: "PPP link control (LCP)",
    0xC023: "PPP authentication",
    0xC025: "PPP link quality",
    0xC223: "PPP authentication",
    0xC227: "PPP authentication",
}


def ethertype_name(value: int) -> str:
    """``ARP``, ``LLDP``, ``ethertype 0x1234``."""
    return _ETHERTYPES.get(value, f"ethertype 0x{value:04x}")


def llc_name(dsap: int) -> str:
    """``STP``, ``LLC service access point 0xaa``."""
    return _LLC_SAPS.get(dsap, f"LLC service access point 0x{dsap:02x}")


def ip_protocol_name(value: int) -> str:
    """``SCTP``, ``IP protocol 253``."""
    return _IP_PROTOCOLS.get(value, f"IP protocol {value}")


def ppp_name(value: int) -> str:
    """``PPP link control (LCP)``, ``PPP protocol 0x80fd``."""
    if value in _PPP_PROTOCOLS:
        return _PPP_PROTOCOLS[value]
    if 0x8000 <= value < 0xC000:
        return "PPP network control"
    return f"PPP protocol 0x{value:04x}"
