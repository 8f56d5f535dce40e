"""Names of files and classes as they are shown: they are data, come in any script and any bytes, and are never interpreted.

A file name that is no UTF-8 reaches Python with lone surrogates in it (PEP 383), which no encoding can write."""

import unicodedata

FORMULA = ("=", "+", "-", "@")  # how a cell begins that a spreadsheet computes


def shown(text):
    """`text` with everything that cannot be seen as an escape: control characters, signs that turn the direction of writing, bytes that
    are no UTF-8 (as \\xe9, the byte that they were). Lines stay lines; what is shown already is shown as it is."""
    return "".join(character if visible(character) else escaped(character) for character in str(text))


def one_name(text):
    """The name of a class: `shown`, on one line, its accents composed (NFC): systems store the same name in different forms."""
    return unicodedata.normalize("NFC", shown(text).replace("\n", "\\n"))


def visible(character):
    """Whether a character can be shown. Joiners (ZWNJ, ZWJ) are part of how Persian and Indic words are written."""
    return character in "\n\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def escaped(character):
    """One character in the notation of Python's strings."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape" if code < 0xD800 or code > 0xDFFF else "ascii", "backslashreplace").decode("ascii")


def no_formula(text):
    """A cell of a CSV file that a spreadsheet does not take for a formula: an apostrophe before what begins like one."""
    return f"'{text}" if text.startswith(FORMULA) else text
