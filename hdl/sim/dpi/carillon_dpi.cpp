// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The fast arithmetic view on blst's field routines. blst itself arrives at link
// time through the Rust crate of that name, hence the prototypes below instead of
// its header; the layouts are those of blst.h: 64-bit limbs, least significant first.
#include "carillon_dpi.h"

#include <cstdint>
#include <cstring>

extern "C" {
struct blst_fp {
    uint64_t l[6];
};
struct blst_fr {
    uint64_t l[4];
};
void blst_fp_add(blst_fp* ret, const blst_fp* a, const blst_fp* b);
void blst_fp_sub(blst_fp* ret, const blst_fp* a, const blst_fp* b);
void blst_fp_mul(blst_fp* ret, const blst_fp* a, const blst_fp* b);
void blst_fr_mul(blst_fr* ret, const blst_fr* a, const blst_fr* b);
}

static_assert(sizeof(svBitVecVal) == 4, "DPI words are 32 bits");

namespace {

// DPI words and blst limbs share one byte order on a little-endian host.
template <typename Element>
Element load(const svBitVecVal* words) {
    Element element;
    std::memcpy(&element, words, sizeof element);
    return element;
}

template <typename Element>
void store(svBitVecVal* words, const Element& element) {
    std::memcpy(words, &element, sizeof element);
}

// Value wrapper that lets the addition below read like the paper.
struct Fp {
    blst_fp v;
};

Fp operator+(const Fp& a, const Fp& b) {
    Fp r;
    blst_fp_add(&r.v, &a.v, &b.v);
    return r;
}

Fp operator-(const Fp& a, const Fp& b) {
    Fp r;
    blst_fp_sub(&r.v, &a.v, &b.v);
    return r;
}

Fp operator*(const Fp& a, const Fp& b) {
    Fp r;
    blst_fp_mul(&r.v, &a.v, &b.v);
    return r;
}

Fp times3(const Fp& a) { return a + a + a; }

// Multiplication by 3b = 12.
Fp times12(const Fp& a) {
    const Fp a3 = times3(a);
    const Fp a6 = a3 + a3;
    return a6 + a6;
}

}  // namespace

void carillon_fp_mul(const svBitVecVal* a, const svBitVecVal* b, svBitVecVal* p) {
    const Fp product = Fp{load<blst_fp>(a)} * Fp{load<blst_fp>(b)};
    store(p, product.v);
}

void carillon_fr_mul(const svBitVecVal* a, const svBitVecVal* b, svBitVecVal* p) {
    const blst_fr x = load<blst_fr>(a);
    const blst_fr y = load<blst_fr>(b);
    blst_fr product;
    blst_fr_mul(&product, &x, &y);
    store(p, product);
}

void carillon_g1_add(const svBitVecVal* ax, const svBitVecVal* ay, const svBitVecVal* az,
                     const svBitVecVal* bx, const svBitVecVal* by, const svBitVecVal* bz,
                     svBitVecVal* sx, svBitVecVal* sy, svBitVecVal* sz) {
    const Fp x1{load<blst_fp>(ax)}, y1{load<blst_fp>(ay)}, z1{load<blst_fp>(az)};
    const Fp x2{load<blst_fp>(bx)}, y2{load<blst_fp>(by)}, z2{load<blst_fp>(bz)};

    const Fp xx = x1 * x2;
    const Fp yy = y1 * y2;
    const Fp zz = z1 * z2;
    const Fp xy = (x1 + y1) * (x2 + y2) - (xx + yy);  // x1 y2 + x2 y1
    const Fp yz = (y1 + z1) * (y2 + z2) - (yy + zz);  // y1 z2 + y2 z1
    const Fp xz = (x1 + z1) * (x2 + z2) - (xx + zz);  // x1 z2 + x2 z1

    const Fp xx3 = times3(xx);
    const Fp zz12 = times12(zz);
    const Fp xz12 = times12(xz);
    const Fp sum = yy + zz12;
    const Fp difference = yy - zz12;

    store(sx, (xy * difference - yz * xz12).v);
    store(sy, (sum * difference + xx3 * xz12).v);
    store(sz, (yz * sum + xy * xx3).v);
}
