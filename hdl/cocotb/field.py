"""The fields and the curve of BLS12-381 in plain integers: what the card's results are compared with."""

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
GENERATOR = (
    0x17F1D3A73197D7942695638C4FA9AC0FC3688C4F9774B905A14E3A3F171BAC586C55E83FF97A1AEFFB3AF00ADB22C6BB,
    0x08B3F481E3AAA0F1A09E30ED741D8AE4FCF5E095D5D00AF600DB18CB2C04B3EDD03CC744A2888AE40CAA232946C5E7E1,
)
COSET = 7
TWO_ADICITY = 32
# Of order 2^32: 7 to the odd part of r - 1.
ROOT = pow(COSET, (R - 1) >> TWO_ADICITY, R)

_FP_RADIX = pow(2, 384, P)
_FR_RADIX = pow(2, 256, R)


def fr_image(value):
    """The 32 bytes by which the card knows an element of Fr."""
    return (value * _FR_RADIX % R).to_bytes(32, "little")


def fr_value(image):
    return int.from_bytes(image, "little") * pow(_FR_RADIX, -1, R) % R


def fp_image(value):
    return (value * _FP_RADIX % P).to_bytes(48, "little")


def fp_value(image):
    return int.from_bytes(image, "little") * pow(_FP_RADIX, -1, P) % P


def add(a, b):
    """The sum of two affine points; None is infinity."""
    if a is None or b is None:
        return b if a is None else a
    (ax, ay), (bx, by) = a, b
    if ax == bx and (ay + by) % P == 0:
        return None
    slope = 3 * ax * ax * pow(2 * ay, -1, P) if a == b else (by - ay) * pow(bx - ax, -1, P)
    x = (slope * slope - ax - bx) % P
    return x, (slope * (ax - x) - ay) % P


def multiply(point, scalar):
    total = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def transform(values, inverse, shift):
    """What NTT returns for `values`, by its definition (hdl/doc/contract.md, "Results")."""
    n = len(values)
    omega = pow(ROOT, (1 << TWO_ADICITY) // n, R)
    shift = {None: 1, "coset": COSET, "odd": pow(ROOT, (1 << TWO_ADICITY) // (2 * n), R)}[shift]
    points = [shift * pow(omega, k, R) % R for k in range(n)]
    if not inverse:
        return [sum(v * pow(x, j, R) for j, v in enumerate(values)) % R for x in points]
    scale = pow(n, -1, R)
    unshift = pow(shift, -1, R)
    return [
        scale * pow(unshift, k, R) * sum(v * pow(omega, -j * k, R) for j, v in enumerate(values)) % R for k in range(n)
    ]
