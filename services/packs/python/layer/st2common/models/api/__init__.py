"""What packs import as `st2common.models.api`."""
