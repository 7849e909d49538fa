"""What TLS hides, read with the keys that an end of the connection wrote down."""
