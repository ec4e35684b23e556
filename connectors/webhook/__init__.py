"""Anything else that can send a signed webhook: the mapping is written where the source is. See README.md here."""
