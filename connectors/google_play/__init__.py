"""Reviews in Google Play: asked for and answered. See README.md in this folder."""
