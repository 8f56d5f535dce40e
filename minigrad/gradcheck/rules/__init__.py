"""The rules, one file for each check. A rule is a function of the context and a draw; it yields a `Finding` for everything that breaks it.

    check      file            rules that a finding names
    always     first_pass.py   shape, missing, not-finite, precision (float64), parameters, writes-parameter, foreign-randomness;
                               with "contract" writes-x and writes-dy, too
    values     values.py       wrong, not-finite, uninformative, tie
    contract   contract.py     not-repeatable, not-linear, ignores-dy, stale, shared-state, order
    dtype      dtype.py        precision, rounding (both float32)
    layout     layout.py       strides
    alias      alias.py        alias
    errors     errors.py       errors

dtype.py and layout.py compare results by agreement.py. `Subject` itself finds outputs and parameters that cannot be examined (shape,
not-finite, precision, parameters), examination.py an error in the layer's code (raises)."""

CHECKS = ("values", "contract", "dtype", "layout")  # what is asked of everybody's layers
ALL_CHECKS = CHECKS + ("alias", "errors")  # and of those of a library
