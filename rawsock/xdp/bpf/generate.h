// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The generator: one probe for each run, the next that is due and paid for.
//
//	refused by the driver? again → pass → position → silent? → index → (address, port) → excluded? → frame → redirect
#pragma once

#include "frame.h"
#include "permute.h"
#include "results.h"
#include "target.h"

// Words of the result map that one run looks through for a silent position.
#define SCAN_WORDS 32

// Bytes that a frame with TCP options is longer before the program has seen it.
#define SPARE_TAIL 4

inline u32 attempt_of(const struct pass *p, u64 position)
{
	u64 sample = (1ULL << (p->stride & 63)) - 1;
	return p->probes + (p->sampled && !(position & sample));
}

// silence is a look for the first position from `at` on that is due in a pass over silent ones.
struct silence {
	u64 at, end;
	u64 sample; // positions have none of these bits
	u32 found;
};

// One word of the result map at a time, as a callback of bpf_loop: see search_step.
static long silence_step(u32 i, struct silence *s)
{
	u64 *word = s->at < s->end ? slot_word(s->at) : 0;
	if (!word)
		return 1;
	u64 w = *(volatile u64 *)word, known = w | w >> 1;
	known |= known >> 2; // the lowest bit of each slot: results.silentSlots
	u64 silent = (~known & SLOT_ONES) >> (s->at % WORD_SLOTS * 4);
	if (!silent) {
		s->at = (s->at | (WORD_SLOTS - 1)) + 1;
		return 0;
	}
	for (int j = 0; j < WORD_SLOTS; j++) {
		if (silent & 1 && !(s->at & s->sample) && s->at < s->end) {
			s->found = 1;
			return 1;
		}
		silent >>= 4;
		if (++s->at % WORD_SLOTS == 0)
			break;
	}
	return 0;
}

// next_silent gives the first position from `from` on that is due in the pass, or where to look on.
inline int next_silent(const struct pass *p, u64 from, u64 *found)
{
	struct silence s = {from, p->end, p->sample ? (1ULL << (p->stride & 63)) - 1 : 0, 0};
	bpf_loop(SCAN_WORDS, silence_step, &s, 0);
	*found = s.at;
	return s.found;
}

// Steps of waiting, of some nanoseconds each, that a run without anything to send spends looking for it.
// Many more would hold up the frames before it in its batch, which leave together, and the replies that
// come in on this processor.
#define WAIT_STEPS 64

static long wait_step(u32 i, struct control **of)
{
	struct control *w = *of;
	return w->spent < *(volatile u64 *)&w->granted && w->finished != *(volatile u64 *)&w->posted;
}

// next_probe chooses what is sent now, as a word of control.pending, or NOTHING.
inline u64 next_probe(struct control *w)
{
	if (w->resent != w->refused)
		return w->refusals[w->resent++ % REFUSED];
	// At the begin of a pass an atomic operation, for what Go wrote before it posted.
	u64 posted = w->cursor ? w->finished + 1 : __sync_fetch_and_add(&w->posted, 0);
	if (w->finished == posted || w->spent >= *(volatile u64 *)&w->granted) {
		w->starved++;
		bpf_loop(WAIT_STEPS, wait_step, &w, 0);
		return NOTHING;
	}
	struct pass *p = &w->passes[w->finished % PASSES];
	u64 position = w->cursor ? w->cursor - 1 : p->begin; // one more, so that 0 stands for none
	if (!p->first && !next_silent(p, position, &position)) {
		w->cursor = position + 1;
		if (position >= p->end) {
			w->cursor = 0;
			__sync_fetch_and_add(&w->finished, 1);
		}
		return NOTHING;
	}
	u64 word = position | (u64)attempt_of(p, position) << 48;
	if (p->first)
		word |= PENDING_FIRST;
	if (p->sample)
		word |= PENDING_SAMPLE;
	w->spent++;
	w->cursor = position + 2;
	if (position + 1 >= p->end) {
		w->cursor = 0;
		__sync_fetch_and_add(&w->finished, 1);
	}
	return word;
}

// refuse keeps a probe that did not get out, to be sent again.
inline void refuse(struct control *w, u64 word) { w->refusals[w->refused++ % REFUSED] = word | PENDING_AGAIN; }

// Addresses that are not probed any more, by prefixes. It has memory for those that there are only.
struct prefix {
	u32 length;
	u32 addr; // network byte order
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct prefix);
	__type(value, u8);
} exclusions SEC(".maps");

inline int is_excluded(u32 addr)
{
	struct prefix key = {32, htonl(addr)};
	return bpf_map_lookup_elem(&exclusions, &key) != 0;
}

// forgo takes a position for one that is not probed: it is unknown, unless it has answered, and what was paid for it is
// there for the next.
inline void forgo(struct control *w, u64 position)
{
	u32 shift = position % WORD_SLOTS * 4;
	u64 *word = slot_word(position);
	if (word && !(__sync_fetch_and_or(word, (u64)STATE_UNKNOWN << shift) >> shift & STATE_SEALED))
		w->excluded++;
	w->spent--;
}

inline int generate_probe(struct xdp_md *ctx)
{
	struct control *w = control_words();
	if (!w)
		return XDP_DROP;
	u64 word = next_probe(w);
	if (word == NOTHING)
		return XDP_DROP;
	u64 position = word & PENDING_POSITION;
	u32 attempt = word >> 48 & (MAX_ATTEMPTS - 1);
	u64 probed = space_at(permute_index(position));
	if (*(volatile u64 *)&w->excluding && probed != NOTHING && is_excluded(probed >> 16)) {
		forgo(w, position);
		return XDP_DROP;
	}
	// A frame that was cut shorter where it went comes back shorter: the kernel restores its length
	// only where the program has changed it (reset_ctx and ctx_was_changed, net/bpf/test_run.c). So it
	// is made longer than it should be, and cut each time. Nobody cuts one that has no options.
	int cut = scan.frame_len > HEADERS_LEN ? bpf_xdp_adjust_tail(ctx, -SPARE_TAIL) : 0;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (probed == NOTHING || cut < 0 || !write_probe(&w->template, data, end, probed >> 16, probed, scan.port_min + attempt)) {
		refuse(w, word); // again and again: the lane sees that it does not get on
		w->error = 22;   // EINVAL: the tables or the frame are wrong
		w->errors++;
		return XDP_DROP;
	}
	u64 granule = position >> scan.times_shift | (u64)attempt << 48;
	if (word & PENDING_AGAIN) {
		send_time(position, attempt, 0); // its neighbours left at another time
	} else if (granule != w->granule) {
		w->granule = granule;
		send_time(position, attempt, bpf_ktime_get_ns());
	}
	w->pending[w->redirected % PENDING] = word;
	w->redirected++;
	return bpf_redirect(scan.ifindex, 0);
}

// bulk is what the driver did with some frames in a row.
struct bulk {
	struct control *w;
	u64 first; // of control.pending
	u32 sent;  // the others were refused
};

static long account_frame(u32 i, struct bulk *b)
{
	struct control *w = b->w;
	u64 word = w->pending[(b->first + i) % PENDING];
	if (i >= b->sent)
		refuse(w, word);
	else if (!(word & PENDING_FIRST)) {
		w->retransmitted++;
		if (word & PENDING_SAMPLE)
			w->sampled++;
	}
	return 0;
}

// driver_answered follows a bulk of frames into the driver: it accepts the first and refuses the rest.
// What it refuses is sent again.
inline void driver_answered(int sent, int drops, int err)
{
	struct control *w = control_words();
	if (!w || bpf_get_smp_processor_id() != w->cpu || sent < 0 || drops < 0)
		return;
	u64 frames = (u32)sent + (u32)drops;
	if (frames > w->redirected - w->flushed)
		return; // somebody else's
	struct bulk b = {w, w->flushed, sent};
	bpf_loop(frames, account_frame, &b, 0);
	w->sent += (u32)sent;
	w->flushed += frames;
	w->error = -err; // 0: what was refused found the driver's ring full
}

// redirect_refused takes back the last frame: it never reached the driver.
inline void redirect_refused(int err)
{
	struct control *w = control_words();
	if (!w || bpf_get_smp_processor_id() != w->cpu || w->redirected == w->flushed)
		return;
	w->redirected--;
	refuse(w, w->pending[w->redirected % PENDING]);
	w->errors++;
	w->error = -err;
}
