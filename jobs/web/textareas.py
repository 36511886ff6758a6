"""Text areas change line ends: what nobody touched comes back with others than it has.

A browser shows CR LF and a lone CR as LF, and sends each line end as CR LF. The line break that HTML
drops after `<textarea>` is written in the templates, before the value.
"""


def shown(text: str) -> str:
    """A text as a browser shows it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def typed(sent: str, before: str) -> str:
    """What stood in a text area: the text it was filled with, to the letter, unless it was changed."""
    text = shown(sent)
    return before if text == shown(before) else text
