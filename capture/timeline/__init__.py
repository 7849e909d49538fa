"""One tunnel over time: its telling packets, its ladder, its numbers to plot."""
