"""Screens: the panes of a capture, one packet in detail, the keys."""
