"""The configuration of a pack, as an action or a sensor sees it."""


class Config(dict):
    """A mapping that says where to put what is missing."""

    def __init__(self, pack, values=None):
        super().__init__(values or {})
        self.pack = pack

    def __missing__(self, key):
        raise ValueError(
            'Config for pack "%s" is missing key "%s": give it in configs/%s.yaml of the data folder'
            % (self.pack, key, self.pack)
        )

    def __reduce__(self):
        return (Config, (self.pack, dict(self)))
