// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The programs of a scan over replies that are made on the spot, one for each run, for benchmarks.
#include "scan.bpf.c"

#define REPLY_NONE 0 // to measure what making one costs
#define REPLY_RST 1
#define REPLY_SYN_ACK 2
#define REPLY_FORGED 3
#define REPLY_FOREIGN 4 // to a port that is not ours
#define REPLY_AGAIN 5   // a RST to one position, over and over

u32 reply_kind;
u64 reply_position;

SEC("xdp")
int reply(struct xdp_md *ctx)
{
	struct headers h = headers_of((void *)(long)ctx->data);
	if ((void *)h.ether + HEADERS_LEN > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	u64 position = reply_kind == REPLY_AGAIN ? 0 : reply_position++;
	u64 probed = space_at(permute_index(position & scan.window_mask));
	u32 addr = htonl(probed >> 16);
	u16 port = htons((u16)probed), our_port = htons(scan.port_min);
	h.ether->type = htons(ETHERTYPE_IPV4);
	*(u16 *)h.ip = 0x0045;
	h.ip->total = htons(40);
	h.ip->fragment = 0;
	h.ip->protocol = PROTOCOL_TCP;
	h.ip->source = addr;
	h.ip->target = scan.source;
	h.tcp->source = port;
	h.tcp->target = our_port;
	h.tcp->ack = htonl((u32)cookie_hash(scan.source, addr, our_port, port) + 1);
	h.tcp->offset = 5 << 4;
	h.tcp->flags = FLAG_ACK | FLAG_RST;
	switch (reply_kind) {
	case REPLY_NONE:
		return XDP_PASS;
	case REPLY_SYN_ACK:
		h.tcp->flags = FLAG_ACK | FLAG_SYN;
		break;
	case REPLY_FORGED:
		h.tcp->ack ^= 1 << 20;
		break;
	case REPLY_FOREIGN:
		h.tcp->target = 0;
	}
	return receive_packet(ctx);
}
