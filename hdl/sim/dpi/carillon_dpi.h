// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// DPI functions behind the fast arithmetic view (hdl/sim/*.sv). Field elements
// are Montgomery images in 32-bit little-endian words as DPI lays out packed
// vectors: 12 words for Fp (381 bits), 8 words for Fr (255 bits). Every input
// is below its modulus; every output is fully reduced.
#ifndef CARILLON_DPI_H
#define CARILLON_DPI_H

#include "svdpi.h"

#ifdef __cplusplus
extern "C" {
#endif

// p = a b 2^-384 mod p.
void carillon_fp_mul(const svBitVecVal* a, const svBitVecVal* b, svBitVecVal* p);

// p = a b 2^-256 mod r.
void carillon_fr_mul(const svBitVecVal* a, const svBitVecVal* b, svBitVecVal* p);

// s = a + b on y^2 = x^3 + 4 in homogeneous projective coordinates: the complete
// formula of Renes, Costello and Batina (ePrint 2015/1060, Algorithm 7, 3b = 12).
void carillon_g1_add(const svBitVecVal* ax, const svBitVecVal* ay, const svBitVecVal* az,
                     const svBitVecVal* bx, const svBitVecVal* by, const svBitVecVal* bz,
                     svBitVecVal* sx, svBitVecVal* sy, svBitVecVal* sz);

// The same on the twist y^2 = x^3 + 4 (1 + u) over Fp2, 3b = 12 (1 + u); each argument holds
// c0, then c1, of a coordinate c0 + c1 u.
void carillon_g2_add(const svBitVecVal* ax, const svBitVecVal* ay, const svBitVecVal* az,
                     const svBitVecVal* bx, const svBitVecVal* by, const svBitVecVal* bz,
                     svBitVecVal* sx, svBitVecVal* sy, svBitVecVal* sz);

#ifdef __cplusplus
}
#endif

#endif
