"""What students are told: everything about public cases, and about hidden ones what the teacher allows."""

LEVELS = ("full", "hint", "category", "none")
KINDS = {"worked": "worked example", "forward": "values", "gradients": "gradients", "property": "property"}  # of cases, for students


def feedback_on(case_verdict, level, is_hidden):
    """What a student sees of one case, a text; "" where nothing is said.

    case_verdict: one of a verdict's "cases". level: one of LEVELS: "full", the message with its numbers; "hint", the kind of the case, its
    status, and the hint if there is one; "category", without the hint; "none". It matters for hidden cases alone."""
    if not is_hidden or level == "full":
        return case_verdict["message"]
    line, hint = f"a hidden case ({KINDS[case_verdict['kind']]}): {case_verdict['status']}", case_verdict["hint"]
    return {"none": "", "category": line, "hint": f"{line}. {hint}".rstrip(". ") + "." * bool(hint)}[level]
