"""Templates, where jinja2 is installed."""

import json

__all__ = ["get_jinja_environment", "is_jinja_expression", "render_values"]


def get_jinja_environment(allow_undefined=False, trim_blocks=True, lstrip_blocks=True):
    """An environment whose templates may not reach into Python."""
    try:
        import jinja2
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError:
        raise ImportError(
            "st2common.util.jinja needs jinja2: name it in the pack's requirements.txt"
        ) from None
    undefined = jinja2.Undefined if allow_undefined else jinja2.StrictUndefined
    environment = SandboxedEnvironment(
        undefined=undefined, trim_blocks=trim_blocks, lstrip_blocks=lstrip_blocks
    )
    environment.filters["to_json_string"] = lambda value, **options: json.dumps(value, **options)
    environment.filters["from_json_string"] = json.loads
    environment.tests["in"] = lambda item, items: item in items
    return environment


def is_jinja_expression(value):
    """Whether a text holds a template."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def render_values(mapping=None, context=None, allow_undefined=False):
    """The texts of a mapping, rendered; other values stay what they are."""
    if not mapping or not context:
        return mapping
    environment = get_jinja_environment(allow_undefined=allow_undefined)

    def render(value):
        if isinstance(value, dict):
            return {key: render(item) for key, item in value.items()}
        if isinstance(value, list):
            return [render(item) for item in value]
        if not is_jinja_expression(value):
            return value
        return environment.from_string(value).render(context)

    return {key: render(value) for key, value in mapping.items()}
