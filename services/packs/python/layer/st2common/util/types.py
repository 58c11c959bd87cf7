"""A set that keeps the order in which things were added."""

import collections.abc

__all__ = ["OrderedSet"]


class OrderedSet(collections.abc.MutableSet):
    """A set in order of insertion."""

    def __init__(self, iterable=None):
        self._items = dict.fromkeys(iterable or ())

    def __contains__(self, item):
        return item in self._items

    def __iter__(self):
        return iter(self._items)

    def __reversed__(self):
        return reversed(list(self._items))

    def __len__(self):
        return len(self._items)

    def add(self, item):
        """Adds at the end, unless it is there."""
        self._items.setdefault(item)

    def discard(self, item):
        """Removes it, if it is there."""
        self._items.pop(item, None)

    def pop(self, last=True):
        """Removes and returns the last one, or the first."""
        if not self._items:
            raise KeyError("the set is empty")
        item = next(reversed(list(self._items)) if last else iter(self._items))
        del self._items[item]
        return item

    def __eq__(self, other):
        if isinstance(other, OrderedSet):
            return list(self) == list(other)
        return set(self) == set(other)

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, list(self))
