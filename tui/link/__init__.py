"""What goes over the link to the terminal: only what differs, within a budget."""
