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
struct blst_fp2 {
    blst_fp fp[2];
};
void blst_fp_add(blst_fp* ret, const blst_fp* a, const blst_fp* b);
void blst_fp_sub(blst_fp* ret, const blst_fp* a, const blst_fp* b);
void blst_fp_mul(blst_fp* ret, const blst_fp* a, const blst_fp* b);
void blst_fp2_add(blst_fp2* ret, const blst_fp2* a, const blst_fp2* b);
void blst_fp2_sub(blst_fp2* ret, const blst_fp2* a, const blst_fp2* b);
void blst_fp2_mul(blst_fp2* ret, const blst_fp2* a, const blst_fp2* b);
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

// Value wrappers that let the addition below read like the paper.
struct Fp {
    blst_fp v;
};
struct Fp2 {
    blst_fp2 v;
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

Fp2 operator+(const Fp2& a, const Fp2& b) {
    Fp2 r;
    blst_fp2_add(&r.v, &a.v, &b.v);
    return r;
}

Fp2 operator-(const Fp2& a, const Fp2& b) {
    Fp2 r;
    blst_fp2_sub(&r.v, &a.v, &b.v);
    return r;
}

Fp2 operator*(const Fp2& a, const Fp2& b) {
    Fp2 r;
    blst_fp2_mul(&r.v, &a.v, &b.v);
    return r;
}

template <typename Field>
Field times3(const Field& a) {
    return a + a + a;
}

template <typename Field>
Field times12(const Field& a) {
    const Field a3 = times3(a);
    const Field a6 = a3 + a3;
    return a6 + a6;
}

// Multiplication by 3b: 12, and 12 (1 + u) on the twist.
Fp times3b(const Fp& a) { return times12(a); }

Fp2 times3b(const Fp2& a) {
    const Fp c0{a.v.fp[0]}, c1{a.v.fp[1]};
    Fp2 r;
    r.v.fp[0] = times12(c0 - c1).v;
    r.v.fp[1] = times12(c0 + c1).v;
    return r;
}

template <typename Field>
struct Point {
    Field x, y, z;
};

template <typename Field>
Point<Field> add(const Point<Field>& a, const Point<Field>& b) {
    const Field xx = a.x * b.x;
    const Field yy = a.y * b.y;
    const Field zz = a.z * b.z;
    const Field xy = (a.x + a.y) * (b.x + b.y) - (xx + yy);  // x1 y2 + x2 y1
    const Field yz = (a.y + a.z) * (b.y + b.z) - (yy + zz);  // y1 z2 + y2 z1
    const Field xz = (a.x + a.z) * (b.x + b.z) - (xx + zz);  // x1 z2 + x2 z1

    const Field xx3 = times3(xx);
    const Field zz3b = times3b(zz);
    const Field xz3b = times3b(xz);
    const Field sum = yy + zz3b;
    const Field difference = yy - zz3b;

    return {xy * difference - yz * xz3b, sum * difference + xx3 * xz3b, yz * sum + xy * xx3};
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
    const auto at = [](const svBitVecVal* words) { return Fp{load<blst_fp>(words)}; };
    const Point<Fp> sum = add(Point<Fp>{at(ax), at(ay), at(az)}, Point<Fp>{at(bx), at(by), at(bz)});
    store(sx, sum.x.v);
    store(sy, sum.y.v);
    store(sz, sum.z.v);
}

void carillon_g2_add(const svBitVecVal* ax, const svBitVecVal* ay, const svBitVecVal* az,
                     const svBitVecVal* bx, const svBitVecVal* by, const svBitVecVal* bz,
                     svBitVecVal* sx, svBitVecVal* sy, svBitVecVal* sz) {
    const auto at = [](const svBitVecVal* words) { return Fp2{load<blst_fp2>(words)}; };
    const Point<Fp2> sum =
        add(Point<Fp2>{at(ax), at(ay), at(az)}, Point<Fp2>{at(bx), at(by), at(bz)});
    store(sx, sum.x.v);
    store(sy, sum.y.v);
    store(sz, sum.z.v);
}
