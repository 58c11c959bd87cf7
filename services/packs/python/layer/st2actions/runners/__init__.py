"""What packs import as `st2actions.runners`."""
