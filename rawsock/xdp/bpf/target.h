// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The index space of scan/target: addresses × ports, followed by pairs of an address and a port,
// grouped by port. Each set of addresses is a run of ranges with a guide in both directions.
#pragma once

#include "base.h"

struct run {
	u32 first; // address, host byte order
	u32 base;  // its index
};

// set describes a set of addresses; its runs and guides lie in the arrays that all sets share.
struct set {
	u64 base;      // index in the space of the set's first probe
	u64 length;    // addresses
	u32 runs;      // where its runs begin, a sentinel behind the last
	u32 num_runs;
	u32 by_base;   // where its guides begin
	u32 by_addr;
	u32 first;     // first address
	u32 width;     // last address - first
	u8 base_shift; // log2 of the indices of a bucket
	u8 addr_shift; // log2 of the addresses of a bucket
	u16 port;      // of a group
	u32 pad;
};

// Sizes of the maps are set when they are loaded.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct run);
} runs SEC(".maps");

// Two entries of a guide to the element: an array's elements are 8 bytes apart.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} guides SEC(".maps");

// The set of the product is the first, then one for each group, ascending by port.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct set);
} sets SEC(".maps");

// The ports of the product, four to the element.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} ports SEC(".maps");

// By port: low half, its place in the product counted from 1; high half, its group counted from 1.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 15);
	__type(key, u32);
	__type(value, u64); // two ports to the element
} port_index SEC(".maps");

inline u32 guide_entry(u32 i)
{
	u32 word = i / 2;
	u64 *pair = bpf_map_lookup_elem(&guides, &word);
	return !pair ? 0 : i % 2 ? *pair >> 32 : (u32)*pair;
}

inline struct run run_at(const struct set *s, u32 i)
{
	i += s->runs;
	struct run *r = bpf_map_lookup_elem(&runs, &i);
	return r ? *r : (struct run){};
}

// search is a look for the last run that begins at or before a key.
struct search {
	u32 runs; // where the set's runs begin
	u32 lo, hi;
	u32 key;
	u32 by_addr; // by first address, or else by index
};

// A callback of bpf_loop, so that the verifier follows one step and not the paths through 32.
static long search_step(u32 i, struct search *s)
{
	if (s->lo >= s->hi)
		return 1;
	u32 mid = (u32)(((u64)s->lo + s->hi + 1) / 2), at = s->runs + mid;
	struct run *r = bpf_map_lookup_elem(&runs, &at);
	if (!r)
		return 1;
	if ((s->by_addr ? r->first : r->base) <= s->key)
		s->lo = mid;
	else
		s->hi = mid - 1;
	return 0;
}

// run_of gives the last of a set's runs that begins at or before the key, in the bucket of a guide.
inline u32 run_of(const struct set *s, u32 bucket, u32 key, u32 by_addr)
{
	struct search found = {s->runs, guide_entry(bucket), guide_entry(bucket + 1), key, by_addr};
	if (found.lo < found.hi)
		bpf_loop(32, search_step, &found, 0);
	return found.lo;
}

// set_at gives the address with an index below the set's length, in host byte order.
inline u32 set_at(const struct set *s, u32 index)
{
	u32 lo = 0;
	if (s->num_runs > 1)
		lo = run_of(s, s->by_base + (s->base_shift < 32 ? index >> s->base_shift : 0), index, 0);
	struct run r = run_at(s, lo);
	return r.first + (index - r.base);
}

// set_index gives the index of an address, host byte order, and false where it is not in the set.
inline int set_index(const struct set *s, u32 addr, u32 *index)
{
	u32 key = addr - s->first, lo = 0;
	if (s->length == 0 || key > s->width)
		return 0;
	if (s->num_runs > 1)
		lo = run_of(s, s->by_addr + (s->addr_shift < 32 ? key >> s->addr_shift : 0), addr, 1);
	struct run r = run_at(s, lo), next = run_at(s, lo + 1);
	u32 offset = addr - r.first;
	*index = r.base + offset;
	return offset <= next.base - r.base - 1;
}

// mul_high gives the upper 64 bits of a product.
inline u64 mul_high(u64 a, u64 b)
{
	u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
	u64 middle = ah * bl + (al * bl >> 32);
	u64 carry = al * bh + (u32)middle;
	return ah * bh + (middle >> 32) + (carry >> 32);
}

inline struct set *set_of(u32 i) { return bpf_map_lookup_elem(&sets, &i); }

#define NOTHING (~0ULL)

// space_at gives address << 16 | port, host byte order, of an index below config.length, or NOTHING.
apart u64 space_at(u64 index)
{
	if (index < scan.product) {
		u64 q = index, r = 0;
		if (scan.magic) {
			q = mul_high(index, scan.magic);
			r = index - q * scan.num_ports;
		}
		struct set *s = set_of(0);
		u32 word = (u32)r / 4;
		u64 *four = bpf_map_lookup_elem(&ports, &word);
		if (!s || !four)
			return NOTHING;
		return (u64)set_at(s, (u32)q) << 16 | (*four >> (16 * (r & 3)) & 0xffff);
	}
	u32 lo = 1, hi = (u32)scan.num_groups;
	for (int i = 0; i < 17 && lo < hi; i++) {
		u32 mid = (lo + hi + 1) / 2;
		struct set *s = set_of(mid);
		if (s && s->base <= index)
			lo = mid;
		else
			hi = mid - 1;
	}
	struct set *s = set_of(lo);
	if (!s)
		return NOTHING;
	return (u64)set_at(s, (u32)(index - s->base)) << 16 | s->port;
}

// space_index gives the index of an address and a port, host byte order, or NOTHING where the scan has
// no such probe.
apart u64 space_index(u32 addr, u16 port)
{
	u32 word = port / 2, i;
	u64 *pair = bpf_map_lookup_elem(&port_index, &word);
	if (!pair)
		return NOTHING;
	u32 entry = port % 2 ? *pair >> 32 : (u32)*pair;
	if (entry & 0xffff) {
		struct set *s = set_of(0);
		if (s && set_index(s, addr, &i))
			return i * scan.num_ports + (entry & 0xffff) - 1;
	}
	if (entry >> 16) {
		struct set *s = set_of(entry >> 16);
		if (s && set_index(s, addr, &i))
			return s->base + i;
	}
	return NOTHING;
}
