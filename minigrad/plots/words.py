"""Words in figures: names are drawn as they are written, in any script that a font of this machine has, never as formulas."""

from functools import cache

from minigrad.names import one_name


def legible(name):
    """A name with escapes for all characters that no font has, so that none becomes an empty box."""
    missing = {character for character in one_name(name) if not fonts_with(character)}
    return "".join(character.encode("unicode_escape").decode() if character in missing else character for character in one_name(name))


def as_written(figure):
    """Have all words of a figure drawn as they are written: no dollars as formulas, letters that the usual font lacks from others."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        more = [font for character in sorted(set(text.get_text())) for font in fonts_with(character)[:1]]
        if more:
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *(font for font in more if font)])))


@cache
def fonts_with(character):
    """The fonts with a character: [""] if the usual one has it, else one other font, or none."""
    from matplotlib.font_manager import fontManager

    if not character.isprintable() or character in "\u200c\u200d":
        return ()
    usual, others = usual_characters(), sorted({(font.name, font.fname) for font in fontManager.ttflist})
    if ord(character) in usual:
        return ("",)
    return next(((name,) for name, path in others if ord(character) in characters(path)), ())


@cache
def usual_characters():
    from matplotlib.font_manager import FontProperties, findfont

    return characters(findfont(FontProperties(family="DejaVu Sans"))) & characters(findfont(FontProperties(family="DejaVu Sans Mono")))


@cache
def characters(path):
    """The numbers of the characters that a font file has, a set; of a file that cannot be read, an empty one."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
