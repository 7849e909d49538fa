"""The replay of a recording: what a live capture would have shown at any moment of it."""
