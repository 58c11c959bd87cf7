"""What the unit tests of packs import: base classes, and services that only pretend.

`hearken pack test` runs such tests; nothing of this is used by what runs for real.
"""
