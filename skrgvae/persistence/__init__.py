"""Files: written in full or not at all, and read without trust in who wrote them."""
