"""What packs import as `st2reactor`."""
