"""Services for tests: they keep to themselves what they are told."""
