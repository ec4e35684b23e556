"""Reddit: who mentions or answers our account, and what is said where we look. See README.md in this folder."""
