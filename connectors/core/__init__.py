"""The domain: what a mention, a case, an effect and a plan are, and what follows from what.

Imports no boto3, no vendor and no environment; `tests/test_imports.py` reads the imports and holds that line.
"""
