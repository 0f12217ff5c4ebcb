"""The bounds of mont_mul that are arithmetic and not logic, checked with the constants of the gateware.

With radix R = 2^Width, modulus p, N' and the product t = a b of operands below p, mont_mul makes
m = t N' mod R and u = (t + m p) / R. All bounds grow with t and m, so their extremes decide.
Used by: run.py; the step that follows u is proved on the gateware (mont_mul_props).
"""

import pathlib
import re


class LemmaError(Exception):
    """A constant of the gateware could not be read."""


def constant(text: str, pattern: str, what: str) -> int:
    """The number that `pattern` finds, decimal or hexadecimal (Verilog: 381'h...)."""
    found = re.search(pattern, text)
    if not found:
        raise LemmaError(f"lemmas: {what} not found; adapt hdl/formal/lemmas.py to the gateware")
    return int(found[1], 16 if "'h" in pattern else 10)


def digits(value: int, places: int, window: int) -> list[tuple[int, int]]:
    """Signed odd digits (digit, place) of `value`, as digits_pkg takes them: the non-adjacent form."""
    found, place = [], 0
    while value and place < places:
        if value & 1:
            digit = value % (1 << window)
            if digit >> (window - 1):
                digit -= 1 << window
            found.append((digit, place))
            value -= digit
        value >>= 1
        place += 1
    return found


def lines(hdl: pathlib.Path) -> list[str]:
    """Checks the lemmas for both fields; returns the lines to print, failures with FAILED as their first word."""
    package = (hdl / "rtl/pkg/carillon_pkg.sv").read_text()
    mont = (hdl / "rtl/field/mont_mul.sv").read_text()
    recoding = (hdl / "rtl/field/digits_pkg.sv").read_text()
    guard = constant(mont, r"Guard = (\d+);", "mont_mul's Guard")
    window = constant(recoding, r"DigitBits = (\d+);", "digits_pkg's DigitBits")
    places = constant(recoding, r"MaxConstantBits = (\d+);", "digits_pkg's MaxConstantBits")

    result = []
    for name, kind in (("fp_mul", "Fp"), ("fr_mul", "Fr")):
        multiplier = (hdl / f"rtl/field/{name}.sv").read_text()
        modulus = constant(package, rf"{kind}Modulus = \d+'h([0-9a-f]+);", f"{kind}Modulus")
        bits = constant(package, rf"{kind}Bits = (\d+);", f"{kind}Bits")
        width = constant(multiplier, r"Width = (\d+);", f"{name}'s Width")
        inverse = constant(multiplier, r"NegInverse\(\d+'h([0-9a-f]+)\)", f"{name}'s NegInverse")
        radix = 1 << width
        largest = (modulus - 1) ** 2 + (radix - 1) * modulus
        terms = digits(modulus, places, window)
        positive = sum(digit > 0 for digit, _ in terms) + 1  # and t itself, cut off below the guard bits
        negative = sum(digit < 0 for digit, _ in terms)
        middle = 1 << (guard - 1)  # what mul_const adds so that the error is positive
        checks = {
            # t + m p = t (1 + N' p) = 0 mod R for every t: u is a whole number.
            "u_is_whole": (inverse * modulus + 1) % radix == 0,
            # The largest t and m give the largest u.
            "u_below_twice_modulus": largest // radix < 2 * modulus and bits == modulus.bit_length(),
            # The sum and its sign bit fit.
            "u_fits_its_frame": 2 * modulus << guard < 1 << (guard + bits + 1),
            # The terms are the modulus, and no digit lies beyond the table.
            "digits_are_the_modulus": sum(digit << place for digit, place in terms) == modulus,
            # A term that is added loses less than 1 by being cut off, one that is subtracted gains less
            # than 1; the sum before them is a multiple of 2^Guard, so its upper bits stay right.
            "cut_off_stays_below_guard": middle - positive >= 0 and middle + negative <= 1 << guard,
        }
        for label, holds in checks.items():
            verdict = "proved  " if holds else "FAILED  "
            result.append(f"{verdict} {name:<15} {label:<26} over the integers")
    return result
