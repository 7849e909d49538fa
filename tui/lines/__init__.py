"""Lines of the screen in which a user types: the filter, the search, a moment to go to."""
