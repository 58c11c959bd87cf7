"""Formats of action aliases: what of a person's words becomes which parameter.

A format is a regular expression with places in it: `{{ name }}` takes the shortest text that lets
the rest match, `{{ name = default }}` may be left out together with the blanks before it. A value
in quotes or braces is taken whole, without its quotes. Pairs `name=value` at the end of a command
are cut off first, and count for more than what was found before.
"""

import re

from st2common.exceptions.content import ParseException

__all__ = [
    "ActionAliasFormatParser",
    "extract_parameters",
    "extract_parameters_for_action_alias_db",
]

# A place: blanks before it, its name, its default where it has one.
PLACE = re.compile(
    r"(?P<blanks>\s*)\{\{\s*(?P<name>[^\s={}]+)\s*"
    r"(?P<equals>=\s*(?P<default>\"\"|''|\".+?\"|'.+?'|\{.+?\}|.+?)\s*)?\}\}(?!\})",
    re.DOTALL,
)
# A pair at the end of a command; its value is quoted, or in braces, or one word.
PAIR = r"(?:^|\s+)\s*(\S+?)\s*=(\"\"|''|\".+?\"|'.+?'|\{.+?\}|\S+)"
PAIRS_AT_END = re.compile(r"(?:%s\s*)*$" % re.sub(r"\((?!\?)", "(?:", PAIR), re.DOTALL)
# Ways in which a value may be written; which one it was is the last letter of its group.
VALUE = r"(?:\"(?P<{0}q>.+?)\"|'(?P<{0}a>.+?)'|(?P<{0}b>\{{.+?\}})|[\"']?(?P<{0}w>.+?)[\"']?)"
WAYS = "qabw"


class ActionAliasFormatParser:
    """A format, and a command that may be meant by it."""

    def __init__(self, alias_format=None, param_stream=None):
        self._format = alias_format or ""
        self._command = param_stream or ""
        self._places = []
        begin = PAIRS_AT_END.search(self._command).start()
        pairs = re.findall(PAIR, self._command[begin:], re.DOTALL)
        self._pairs = {name: unquoted(value) for name, value in pairs}
        # Blanks around it are anybody's.
        self._text = " %s " % self._command[:begin]
        self._expression = self._compile()

    def get_extracted_param_value(self):
        """The parameters that the command gives."""
        return self._parameters(self._expression.search(self._text))

    def get_multiple_extracted_param_value(self):
        """The same for each place in the command where the format matches."""
        return [self._parameters(found) for found in self._expression.finditer(self._text)]

    def _compile(self):
        own = PLACE.sub("", self._format)
        expression = PLACE.sub(self._take, self._format)
        if not has_anchor(own, "^", "A"):
            expression = r"^\s*" + expression
        if not has_anchor(own, "$", "Z"):
            expression += r"\s*$"
        return re.compile(expression, re.DOTALL)

    def _take(self, place):
        default = unquoted(place["default"]) if place["equals"] else None
        key = "_place%d" % len(self._places)
        self._places.append((key, place["name"], default))
        value = place["blanks"] + VALUE.format(key)
        return value if default is None else "(?:%s)?" % value

    def _parameters(self, found):
        if found is None:
            raise ParseException(
                'Command "%s" doesn\'t match format string "%s"' % (self._command, self._format)
            )
        groups = found.groupdict()
        # Groups that the format itself has names for are parameters too.
        result = {name: groups[name] for name in groups if not name.startswith("_place")}
        for key, name, default in self._places:
            values = [groups[key + way] for way in WAYS]
            value = next((value for value in values if value is not None), None)
            if value or result.get(name) is None:
                result[name] = value or default
        result.update(self._pairs)
        if self._format and not self._text.strip() and not any(result.values()):
            raise ParseException("No value supplied and no default value found.")
        return result


def extract_parameters(format_str, param_stream, match_multiple=False):
    """The parameters that a command gives by a format; a list of them for all its matches."""
    parser = ActionAliasFormatParser(alias_format=format_str, param_stream=param_stream)
    if match_multiple:
        return parser.get_multiple_extracted_param_value()
    return parser.get_extracted_param_value()


def extract_parameters_for_action_alias_db(
    action_alias_db, format_str, param_stream, match_multiple=False
):
    """The same for a format of this alias."""
    if format_str not in action_alias_db.get_format_strings():
        raise ValueError(
            'Format string "%s" is not available on the alias "%s"'
            % (format_str, action_alias_db.name)
        )
    return extract_parameters(format_str, param_stream, match_multiple=match_multiple)


def unquoted(text):
    """A value without the quotes around it."""
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def has_anchor(expression, sign, letter):
    """Whether an expression says where a text begins or ends, by a sign or by an escape."""
    at = 0
    is_class = False
    while at < len(expression):
        here = expression[at]
        if here == "\\":
            if not is_class and expression[at + 1 : at + 2] == letter:
                return True
            at += 2
            continue
        if is_class:
            is_class = here != "]"
        elif here == "[":
            is_class = True
            # A bracket at the beginning of a class is one of its characters.
            at += len(re.match(r"\^?\]?", expression[at + 1 :])[0])
        elif here == sign:
            return True
        at += 1
    return False
