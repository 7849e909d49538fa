"""Writes captures: the blocks of a pcapng file, the records of a pcap file, new files."""
