"""Zendesk Support, a ticketing system. README.md beside this file is for the administrators."""
