// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The permutation of scan/permute: a generalised Feistel network with cycle walking. What the words
// of config mean is said at permute.Params.
#pragma once

#include "base.h"

#define MUL_INPUT 0x9e3779b97f4a7c15ULL
#define MUL_OUTPUT 0x94d049bb133111ebULL

// Walks longer than this do not exist: up to 4096 positions there are fewer than 64 values beyond the
// length, and above that each step stays outside with a probability of 1/64 at most.
#define MAX_WALK 64

inline u64 permute_hash(u64 half, u64 key)
{
	u64 h = half * MUL_INPUT + key;
	return (h ^ h >> 32) * MUL_OUTPUT;
}

inline u64 add_high(u64 high, u64 low, u64 key)
{
	u64 b = scan.high, t = high + ((permute_hash(low, key) >> 24) * b >> 40) - b;
	return t + (b & (u64)((long long)t >> 63));
}

inline u64 sub_high(u64 high, u64 low, u64 key)
{
	u64 b = scan.high, t = high - ((permute_hash(low, key) >> 24) * b >> 40);
	return t + (b & (u64)((long long)t >> 63));
}

// walk is a cycle walk. Its steps after the first are a callback of bpf_loop: see search_step in target.h.
struct walk {
	u64 x;
};

inline u64 forward_step(u64 x)
{
	u64 shift = scan.low_bits & 63, down = (64 - shift) & 63, mask = (1ULL << shift) - 1;
	u64 low = x & mask, high = x >> shift;
	high = add_high(high, low, scan.keys[0]);
	low = (low + (permute_hash(high, scan.keys[1]) >> down)) & mask;
	high = add_high(high, low, scan.keys[2]);
	low = (low + (permute_hash(high, scan.keys[3]) >> down)) & mask;
	high = add_high(high, low, scan.keys[4]);
	low = (low + (permute_hash(high, scan.keys[5]) >> down)) & mask;
	return high << shift | low;
}

inline u64 backward_step(u64 x)
{
	u64 shift = scan.low_bits & 63, down = (64 - shift) & 63, mask = (1ULL << shift) - 1;
	u64 low = x & mask, high = x >> shift;
	low = (low - (permute_hash(high, scan.keys[5]) >> down)) & mask;
	high = sub_high(high, low, scan.keys[4]);
	low = (low - (permute_hash(high, scan.keys[3]) >> down)) & mask;
	high = sub_high(high, low, scan.keys[2]);
	low = (low - (permute_hash(high, scan.keys[1]) >> down)) & mask;
	high = sub_high(high, low, scan.keys[0]);
	return high << shift | low;
}

static long walk_forward(u32 i, struct walk *w)
{
	w->x = forward_step(w->x);
	return w->x < scan.length;
}

static long walk_backward(u32 i, struct walk *w)
{
	w->x = backward_step(w->x);
	return w->x < scan.length;
}

// permute_index gives the index of the probe that is sent at a position, and length or more where
// there is no such position.
apart u64 permute_index(u64 position)
{
	struct walk w = {forward_step(position)};
	if (w.x >= scan.length)
		bpf_loop(MAX_WALK, walk_forward, &w, 0);
	return w.x;
}

// permute_position is the inverse of permute_index.
apart u64 permute_position(u64 index)
{
	struct walk w = {backward_step(index)};
	if (w.x >= scan.length)
		bpf_loop(MAX_WALK, walk_backward, &w, 0);
	return w.x;
}
