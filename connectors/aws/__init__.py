"""The adapters to AWS: with `connectors/tool`, the only importers of boto3."""
