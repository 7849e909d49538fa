"""The packets of a capture as rows of a screen: their index, their lines, and words in them."""
