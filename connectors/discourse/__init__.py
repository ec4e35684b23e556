"""Discourse forums: posts arrive by webhook. See README.md in this folder."""
