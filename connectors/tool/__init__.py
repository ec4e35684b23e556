"""The console script `hailback` and what it runs on one machine. Left out of the Lambda layer."""
