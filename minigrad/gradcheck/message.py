"""A report in words: a headline, a table with one row for each tensor, and below it what the table does not say."""

import html
import textwrap

LINES = 25  # of a message
WIDTH = 130

MARKS = {"passed": "✓", "failed": "✗", "error": "✗", "not started": "○"}
PLAIN = {"✓": "ok:", "✗": "WRONG:", "○": "todo:", " · ": " - ", "×": "x", "…": "..."}


def text(report, again, plain):
    """The message: at most LINES lines; those that do not fit are counted. again: the command that repeats the check."""
    heads, rows = table(report)
    widths = [max(map(len, column)) + 2 for column in zip(heads, *rows, strict=True)]
    lines = ["  " + "".join(map(str.ljust, row, widths)).rstrip() for row in (heads, *rows)] if rows else []
    below = [line for sentence in sentences(report) for line in wrapped(sentence)]
    below = shortened(below, LINES - 2 - min(len(lines), 10), "lines")
    lines = [headline(report), *shortened(lines, LINES - 2 - len(below), "tensors"), *below]
    if report.status in ("failed", "error"):
        lines.append(f"  again:  {again}")
    joined = "\n".join(lines)
    for mark, words in PLAIN.items() if plain else ():
        joined = joined.replace(mark, words)
    return joined


def as_html(report):
    """The same for a notebook, with all tensors and all sentences."""
    heads, rows = table(report)
    cells = ["<tr>" + "".join(f"<th>{html.escape(head)}</th>" for head in heads) + "</tr>"]
    cells += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    lines = "<br>".join(html.escape(line) for line in sentences(report))
    return f"<div><b>{html.escape(headline(report))}</b><table>{''.join(cells) if rows else ''}</table><div>{lines}</div></div>"


def headline(report):
    count = f"{report.evaluations} evaluation{'s' * (report.evaluations != 1)}"
    seconds = f", {report.seconds:.2f} s" if report.seconds else ""  # 0: not measured, or not to be said
    status = "not started" if report.status == "not started" else f"{count}{seconds}"
    return f"{MARKS[report.status]} {report.title} · seed {report.seed} · {status}"


def table(report):
    """(heads of the columns, rows of strings): for each tensor its wrong entry, or else its worst. If they are many, wrong ones first."""
    heads = ("gradient of", "shape", "worst error", "at", "yours", "expected", "verdict")
    shown = {}
    for entry in report.entries:
        other = shown.get(entry.tensor)
        if other is None or (entry.wrong > 0, entry.worst_error) > (other.wrong > 0, other.worst_error):
            shown[entry.tensor] = entry
    blamed = {finding.tensor for finding in report.findings if finding.check == "values"}
    rows = []
    for e in sorted(shown.values(), key=lambda e: len(shown) > LINES / 2 and e.wrong == 0 and e.tensor not in blamed):
        verdict = f"{e.wrong} of {e.checked} wrong" if e.wrong else "wrong" if e.tensor in blamed else "ok"
        verdict += " in draw 2" if e.draw and verdict != "ok" else ""
        verdict += f", {e.kinks} kink{'s' * (e.kinks > 1)}" if e.kinks else ""
        verdict += ", by directions" if e.method == "directions" else ""
        shape, index = (str(v).replace(" ", "") for v in (e.shape, e.index))
        rows.append((e.tensor, shape, f"{e.worst_error:.1e}", index, f"{e.yours:#.7g}", f"{e.expected:#.7g}", verdict))
    return heads, rows


def sentences(report):
    """What the table does not say: findings, the cause, notes."""
    lines = []
    for finding in report.findings:
        speaks_for_itself = finding.check == "values" or finding.rule == "raises"
        lines.append(finding.sentence if speaks_for_itself else f"{finding.check}, {finding.rule}: {finding.sentence}")
    if report.status == "failed" and not report.cause:
        lines.append("No simple cause: neither a factor nor a permutation, and no pattern in where it is wrong.")
    if report.cause not in ("", *(finding.sentence for finding in report.findings)):
        lines.append(f"   {report.cause}")
    return lines + [note if report.status == "not started" else f"note: {note}" for note in report.notes]


def shortened(lines, room, what):
    return lines if len(lines) <= room else [*lines[: room - 1], f"  … and {len(lines) - room + 1} more {what}"]


def wrapped(sentence):
    """Lines of at most WIDTH characters, indented by two more than the sentence is."""
    indent = "  " + " " * (len(sentence) - len(sentence.lstrip()))
    return textwrap.wrap(sentence.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
