"""Bluesky: asked for notifications, searched, and answered. See README.md in this folder."""
