"""YouTube: comments on a channel's videos, asked for and answered. See README.md in this folder."""
