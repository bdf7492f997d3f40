// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The result map of package results: a ring of 4-bit slots in an array that Go has mapped, and what is
// counted beside it.
#pragma once

#include "base.h"

#define STATE_OPEN 1
#define STATE_CLOSED 2
#define STATE_FILTERED 4
#define STATE_ANSWERS 7
#define STATE_UNKNOWN 8
#define STATE_SEALED 15
#define WORD_SLOTS 16
#define SLOT_ONES 0x1111111111111111ULL // the lowest bit of each slot

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} slots SEC(".maps");

// Send times, attempts one after the other, two entries to the element: scan.sendTimes.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} times SEC(".maps");

// First answers by chunk, evidence, divisor and attempt: scan.chunkLoss.
#define MAX_STRIDE 5
struct chunk_loss {
	u32 answered[2][MAX_STRIDE + 1][MAX_ATTEMPTS];
	u32 history; // Go's own
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct chunk_loss);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} controls SEC(".maps");

inline struct control *control_words(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&controls, &zero);
}

inline u32 best(u32 state) { return state & STATE_ANSWERS & -(state & STATE_ANSWERS); }

inline u64 *slot_word(u64 position)
{
	u32 word = (position & scan.window_mask) / WORD_SLOTS;
	return bpf_map_lookup_elem(&slots, &word);
}

// count_loss adds a first answer to its chunk: scan.lossStats.answer.
inline void count_loss(u64 position, u32 state, u32 attempt)
{
	u64 n = (position - scan.loss_begin) >> scan.loss_shift;
	u32 chunk = n % scan.loss_chunks;
	struct chunk_loss *l = bpf_map_lookup_elem(&losses, &chunk);
	if (!l || attempt >= MAX_ATTEMPTS)
		return;
	u32 divisor = 0;
#pragma unroll
	for (int i = 1; i <= MAX_STRIDE; i++)
		divisor += (position & ((1 << i) - 1)) == 0;
	__sync_fetch_and_add(&l->answered[state == STATE_CLOSED][divisor][attempt], 1);
}

// send_time notes when the probe of an attempt left, by CLOCK_MONOTONIC in ns, or 0 where that is not
// known well enough: entries of the table are Unix µs modulo 2^32, and 0 means so there too.
inline void send_time(u64 position, u32 attempt, u64 now)
{
	u32 entry = (position >> scan.times_shift & scan.times_mask) + attempt * (scan.times_mask + 1);
	u32 word = entry / 2, micros = (now + scan.clock_offset) / 1000;
	u32 *pair = bpf_map_lookup_elem(&times, &word);
	if (pair)
		pair[entry & 1] = now ? micros ? micros : 1 : 0;
}
