"""A capture that goes on: judged while it lasts, within bounds, with and without a screen."""
