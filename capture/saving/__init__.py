"""Saves tunnels as a capture of their own, without what must not leave the house."""
