"""`mock`, as it was called before the standard library had it.

The real one takes precedence wherever it is installed: this folder is the last one searched.
"""

import sys
from unittest import mock as _own

# All of it, also the names that a star does not bring: `mock.mock_open` is not the only one in use.
globals().update({name: value for name, value in vars(_own).items() if name[:2] != "__"})
__all__ = list(_own.__all__)
# Some write `mock.mock`.
mock = _own
sys.modules[__name__ + ".mock"] = _own
