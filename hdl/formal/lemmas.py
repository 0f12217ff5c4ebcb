"""Lemmas."""


class LemmaError(Exception):
    """A constant of the gateware could not be read."""


def lines(hdl):
    return []
