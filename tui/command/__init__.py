"""The command line: its options, and reports written without a screen."""
