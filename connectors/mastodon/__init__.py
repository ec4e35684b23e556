"""Mastodon, and servers that speak its API: asked for mentions, and answered. See README.md in this folder."""
