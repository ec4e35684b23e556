"""Slack: what is said in a workspace's channels, and answers in its threads. See README.md in this folder."""
