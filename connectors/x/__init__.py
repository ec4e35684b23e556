"""X: posts come by webhook and by asking; answers go out where the author summoned us. See README.md here."""
