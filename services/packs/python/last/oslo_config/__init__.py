"""The little that packs read of StackStorm's own settings."""
