"""The fields and the curve of BLS12-381 in plain integers: what the card's results are compared with."""

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
GENERATOR = (
    0x17F1D3A73197D7942695638C4FA9AC0FC3688C4F9774B905A14E3A3F171BAC586C55E83FF97A1AEFFB3AF00ADB22C6BB,
    0x08B3F481E3AAA0F1A09E30ED741D8AE4FCF5E095D5D00AF600DB18CB2C04B3EDD03CC744A2888AE40CAA232946C5E7E1,
)
# Of G2, coordinates (c0, c1) for c0 + c1 u, u^2 = -1 (draft-irtf-cfrg-pairing-friendly-curves, section 4.2.1).
GENERATOR_G2 = (
    (
        0x024AA2B2F08F0A91260805272DC51051C6E47AD4FA403B02B4510B647AE3D1770BAC0326A805BBEFD48056C8C121BDB8,
        0x13E02B6052719F607DACD3A088274F65596BD0D09920B61AB5DA61BBDC7F5049334CF11213945D57E5AC7D055D042B7E,
    ),
    (
        0x0CE5D527727D6E118CC9CDC6DA2E351AADFD9BAA8CBDD3A76D429A695160D12C923AC9CC3BACA289E193548608B82801,
        0x0606C4A02EA734CC32ACD2B02BC28B99CB3E287E85A763AF267492AB572E99AB3F370D275CEC1DA1AAA9075FF05F79BE,
    ),
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


def images(value):
    """A coordinate of a point of either group."""
    return b"".join(map(fp_image, value if isinstance(value, tuple) else (value,)))


def fp_value(image):
    return int.from_bytes(image, "little") * pow(_FP_RADIX, -1, P) % P


def sub(a, b):
    """Of Fp or, as pairs, of Fp2; so the next three."""
    return tuple((x - y) % P for x, y in zip(a, b)) if isinstance(a, tuple) else (a - b) % P


def mul(a, b):
    if not isinstance(a, tuple):
        return a * b % P
    return (a[0] * b[0] - a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P


def scale(a, factor):
    return tuple(x * factor % P for x in a) if isinstance(a, tuple) else a * factor % P


def inverse(a):
    if not isinstance(a, tuple):
        return pow(a, -1, P)
    norm = pow(a[0] * a[0] + a[1] * a[1], -1, P)
    return a[0] * norm % P, -a[1] * norm % P


def add(a, b):
    """The sum of two affine points of either group; None is infinity."""
    if a is None or b is None:
        return b if a is None else a
    (ax, ay), (bx, by) = a, b
    if a == b:
        slope = mul(scale(mul(ax, ax), 3), inverse(scale(ay, 2)))
    elif ax == bx:
        return None
    else:
        slope = mul(sub(by, ay), inverse(sub(bx, ax)))
    x = sub(sub(mul(slope, slope), ax), bx)
    return x, sub(mul(slope, sub(ax, x)), ay)


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
