"""Live capture: interfaces, the sniffer thread, capture filters, privileges, the packet file."""
