"""The parts of the main screen: one module a subject, put together in ``screens.main``."""
