"""The proxy's own connection to the server, found among the flows of a capture."""
