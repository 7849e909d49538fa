"""Two tunnels side by side: what was the same, and where they first part ways."""
