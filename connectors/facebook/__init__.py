"""Facebook Pages: posts and comments arrive by webhook and are asked for as well. See README.md in this folder."""
