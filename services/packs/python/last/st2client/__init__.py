"""A small client of the API, for packs that use one without asking for it.

The real one takes precedence wherever it is installed: this folder is the last one searched.
"""

__version__ = "3.9.0"
