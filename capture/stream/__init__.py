"""One tunnel's two byte streams, put together from its packets when somebody looks at them."""
