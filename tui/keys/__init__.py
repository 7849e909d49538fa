"""Key bindings read back: for hints, help, the palette and the configuration file."""
