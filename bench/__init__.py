"""Speed and memory beside other tools; never part of the tests."""
