"""Roundup, a ticketing system, over its REST interface. README.md beside this file is for the administrators."""
