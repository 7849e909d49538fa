"""Programs for developers: the lab that makes the demo captures, the screenshots."""
