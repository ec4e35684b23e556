"""Reads what a post wants, inside the function, with the standard library only. No vendor, no network, no SDK."""
