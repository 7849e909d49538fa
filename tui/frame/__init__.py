"""One frame taken apart for the detail screen, with every secret covered."""
