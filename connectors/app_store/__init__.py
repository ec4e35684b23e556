"""Reviews in Apple's App Store: asked for and answered. See README.md in this folder."""
