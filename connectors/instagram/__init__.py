"""Instagram: comments on our posts and mentions elsewhere, by webhook and by asking. See README.md in this folder."""
