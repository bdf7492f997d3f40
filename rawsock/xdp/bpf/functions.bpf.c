// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Each function of the headers over an array of inputs, for the differential tests.
#include "base.h"
#include "cookie.h"
#include "frame.h"
#include "permute.h"
#include "target.h"

char _license[] SEC("license") = "GPL";

#define CASES 4096

struct function_case {
	u64 in;   // a position
	u64 index;
	u64 position; // back from the index
	u64 found;    // the index, back from address and port
	u64 hash;
	u32 addr; // host byte order
	u16 port;
	u16 source_port;
	u8 frame[80]; // the probe
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CASES);
	__type(key, u32);
	__type(value, struct function_case);
} cases SEC(".maps");

u64 next;
struct template template;

// One case for each run: address and port come from the position, and lead back to it.
SEC("xdp")
int forward(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	u32 i = next++ % CASES;
	struct function_case *t = bpf_map_lookup_elem(&cases, &i);
	if (!t)
		return XDP_ABORTED;
	t->index = permute_index(t->in);
	t->position = permute_position(t->index);
	u64 probed = space_at(t->index);
	if (probed == NOTHING)
		return XDP_ABORTED;
	t->addr = probed >> 16;
	t->port = probed;
	t->hash = cookie_hash(scan.source, htonl(t->addr), htons(t->source_port), htons(t->port));
	if (!write_probe(&template, data, end, t->addr, t->port, t->source_port))
		return XDP_ABORTED;
	u64 length = end - data;
	opaque(length);
	if (length < HEADERS_LEN || length > sizeof t->frame || bpf_xdp_load_bytes(ctx, 0, t->frame, length) < 0)
		return XDP_ABORTED;
	return XDP_PASS;
}

// The index of an address and a port that may not be in the space at all.
SEC("xdp")
int backward(struct xdp_md *ctx)
{
	u32 i = next++ % CASES;
	struct function_case *t = bpf_map_lookup_elem(&cases, &i);
	if (!t)
		return XDP_ABORTED;
	t->found = space_index(t->addr, t->port);
	return XDP_PASS;
}
