// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The far end of a link, for tests: it keeps what arrives, and may take its time.
#include "base.h"

char _license[] SEC("license") = "GPL";

#define FRAMES (1 << 16)

struct arrival {
	u8 frame[80];
	u32 length; // 0: not written yet
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FRAMES);
	__type(key, u32);
	__type(value, struct arrival);
} arrivals SEC(".maps");

const volatile u64 burn; // ns for each frame

u64 arrived;

const volatile u8 scribble[80] = {[0 ... 79] = 0xa5};

static long wait_step(u32 i, u64 *until) { return bpf_ktime_get_ns() >= *until; }

// Keeps IPv4 frames, in the order of their arrival, and leaves the others to the host.
SEC("xdp")
int keep(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + ETHER_LEN > end || *(u16 *)(data + 12) != htons(0x0800))
		return XDP_PASS;
	u32 i = __sync_fetch_and_add(&arrived, 1);
	u64 length = end - data, kept = length < sizeof scribble ? length : sizeof scribble;
	opaque(kept);
	if (kept < 1 || kept > sizeof scribble)
		return XDP_ABORTED;
	struct arrival *a = bpf_map_lookup_elem(&arrivals, &i);
	if (a) {
		if (bpf_xdp_load_bytes(ctx, 0, a->frame, kept) < 0)
			return XDP_ABORTED;
		a->length = length;
	}
	// The frame's page comes back to whoever sent it, who must not rely on what is in it.
	if (bpf_xdp_store_bytes(ctx, 0, (void *)scribble, kept) < 0)
		return XDP_ABORTED;
	if (burn) {
		u64 until = bpf_ktime_get_ns() + burn;
		bpf_loop(1 << 20, wait_step, &until, 0);
	}
	return XDP_DROP;
}

// Lets all pass: a far end without it has no ring to take redirected frames.
SEC("xdp")
int pass(struct xdp_md *ctx) { return XDP_PASS; }
