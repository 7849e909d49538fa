"""``/``: one query, looked for without freezing the screen."""
