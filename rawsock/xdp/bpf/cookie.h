// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The cookie of scan/probe: SipHash-2-4 (Aumasson and Bernstein, 2012) of the four-tuple.
#pragma once

#include "base.h"

inline u64 rotl(u64 x, int b) { return x << b | x >> (64 - b); }

#define SIP_ROUND                                                                                  \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v1 = rotl(v1, 13) ^ v0;                                                            \
		v0 = rotl(v0, 32);                                                                 \
		v2 += v3;                                                                          \
		v3 = rotl(v3, 16) ^ v2;                                                            \
		v0 += v3;                                                                          \
		v3 = rotl(v3, 21) ^ v0;                                                            \
		v2 += v1;                                                                          \
		v1 = rotl(v1, 17) ^ v2;                                                            \
		v2 = rotl(v2, 32);                                                                 \
	} while (0)

// cookie_hash hashes the four-tuple of a probe, every part in network byte order.
inline u64 cookie_hash(u32 source, u32 target, u16 source_port, u16 target_port)
{
	u64 k0 = scan.k0, k1 = scan.k1;
	u64 m0 = source | (u64)target << 32;
	u64 m1 = source_port | (u64)target_port << 16 | 12ULL << 56;
	u64 v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
	u64 v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;

	v3 ^= m0;
	SIP_ROUND;
	SIP_ROUND;
	v0 ^= m0;
	v3 ^= m1;
	SIP_ROUND;
	SIP_ROUND;
	v0 ^= m1;
	v2 ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}
