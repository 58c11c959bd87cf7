"""Tests of the modules, with the standard library alone."""
