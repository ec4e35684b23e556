"""Threads: replies and mentions, by webhook and by asking. See README.md in this folder."""
