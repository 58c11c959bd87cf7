"""What several events have in common."""

__all__ = ["TraceContext"]


class TraceContext:
    """A tag, or the id of a trace that is there already."""

    def __init__(self, id_=None, trace_tag=None):
        self.id_ = id_
        self.trace_tag = trace_tag

    def __eq__(self, other):
        if not isinstance(other, TraceContext):
            return NotImplemented
        return (self.id_, self.trace_tag) == (other.id_, other.trace_tag)

    def __hash__(self):
        return hash((self.id_, self.trace_tag))

    def __repr__(self):
        return "<TraceContext id=%s tag=%s>" % (self.id_, self.trace_tag)
