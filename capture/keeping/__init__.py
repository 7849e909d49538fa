"""Where the bytes of captured packets stay until somebody asks for them again."""
