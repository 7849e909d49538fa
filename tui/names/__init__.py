"""Names of addresses, from the capture and from the system's resolver."""
