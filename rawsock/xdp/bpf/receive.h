// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The receiver: reply → ours? → genuine? → index → position → mark → news?
#pragma once

#include "cookie.h"
#include "frame.h"
#include "permute.h"
#include "results.h"
#include "target.h"

inline struct tally *tally_words(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&tallies, &zero);
}

// hand_over gives user space a packet, caplen bytes from its IP header at `at` on, that may be ours and takes more
// looking into than is worth doing here.
inline void hand_over(struct xdp_md *ctx, struct tally *t, u32 at, u32 caplen)
{
	struct raw *r = bpf_ringbuf_reserve(&records, sizeof *r, 0);
	if (!r) {
		t->ring_full++;
		return;
	}
	u32 length = caplen < RAW_BYTES ? caplen : RAW_BYTES;
	opaque(length);
	if (length < 1 || length > RAW_BYTES || bpf_xdp_load_bytes(ctx, at, r->packet, length) < 0) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return;
	}
	r->time = bpf_ktime_get_ns();
	r->kind = RECORD_RAW;
	r->length = length;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

// leaving decides about a mark that met with its position's leaving the window: window.Map.leaving.
// It tells whether the mark holds.
inline int leaving(struct tally *t, u64 position, u64 low, u32 old)
{
	if (old == STATE_SEALED) {
		t->late++;
		return 0;
	}
	if (low <= (position & ~(u64)(WORD_SLOTS - 1)) + scan.guard)
		return 1;
	t->overruns++;
	return 0;
}

// settle marks the position of a genuine reply, and makes its record where it is news.
inline void settle(struct xdp_md *ctx, struct tally *t, u64 position, u32 state, u32 attempt, u32 length)
{
	struct control *w = control_words();
	u64 *word = slot_word(position);
	if (!w || !word)
		return;
	t->replies++;
	u64 low = *(volatile u64 *)&w->low;
	if (position < low || position >= *(volatile u64 *)&w->high) {
		t->late++;
		return;
	}
	u32 shift = position % WORD_SLOTS * 4;
	u32 old = *(volatile u64 *)word >> shift & STATE_SEALED;
	u32 former = best(old);
	int record = 0, sample = 0;
	if (!(old & state) && (!former || former > state)) { // lower bits rank higher
		record = (scan.emits & state) != 0;
		sample = !record && (position & ((1ULL << scan.rtt_sample) - 1)) == 0;
	}

	// Room for the record first: a reply that cannot be reported must look lost, not known.
	struct news *n = 0;
	if (record || sample) {
		n = bpf_ringbuf_reserve(&records, sizeof *n, 0);
		if (!n && record) {
			t->ring_full++;
			return;
		}
	}
	old = __sync_fetch_and_or(word, (u64)state << shift) >> shift & STATE_SEALED;
	former = best(old);
	low = *(volatile u64 *)&w->low;
	if (old == STATE_SEALED && position >= low) {
		t->late++; // sealed, but low is not told yet
		goto discard;
	}
	if (position < low && !leaving(t, position, low, old))
		goto discard;
	if (old & state) {
		t->duplicates++;
		goto discard;
	}
	if (former && former < state) {
		t->outranked++;
		goto discard;
	}
	if (state == STATE_OPEN)
		t->open++;
	else
		t->closed++;
	if (former == STATE_CLOSED)
		t->closed--;
	else if (former == STATE_FILTERED)
		t->filtered--;
	if (!former) {
		count_loss(position, state, attempt);
		if (attempt)
			t->repeated++;
	}
	if (!n)
		return;
	opaque(length);
	if (length < 1 || length > NEWS_BYTES || bpf_xdp_load_bytes(ctx, ETHER_LEN, n->packet, length) < 0)
		goto discard;
	n->time = bpf_ktime_get_ns();
	n->position = position;
	n->kind = record ? RECORD_NEWS : RECORD_SAMPLE;
	n->length = length;
	bpf_ringbuf_submit(n, BPF_RB_NO_WAKEUP);
	return;
discard:
	if (n)
		bpf_ringbuf_discard(n, BPF_RB_NO_WAKEUP);
}

inline int is_our_port(u16 port) { return port >= scan.port_min && port <= scan.port_max; }

// receive_icmp hands over the errors that quote a probe of ours, whoever they are sent to, and leaves all ICMP to the
// host.
inline int receive_icmp(struct xdp_md *ctx, struct tally *t, u32 at, u32 ihl, u32 caplen)
{
	// Type, code, checksum, unused; then the quoted IP header, and 8 bytes behind it.
	struct {
		u8 type, code;
		u16 checksum;
		u32 unused;
		struct ipv4 ip;
	} q;
	struct {
		u16 source, target;
		u32 seq;
	} ports;
	if (bpf_xdp_load_bytes(ctx, at + ihl, &q, sizeof q) < 0 || (q.type != 3 && q.type != 11))
		return XDP_PASS;
	u32 quoted = (q.ip.version_ihl & 15) * 4;
	if (q.ip.protocol != PROTOCOL_TCP || q.ip.version_ihl >> 4 != 4 || quoted < sizeof q.ip ||
	    bpf_xdp_load_bytes(ctx, at + ihl + 8 + quoted, &ports, sizeof ports) < 0 || !is_our_port(ntohs(ports.source)))
		return XDP_PASS;
	if ((u32)cookie_hash(q.ip.source, q.ip.target, ports.source, ports.target) == ntohl(ports.seq))
		hand_over(ctx, t, at, caplen);
	else
		t->invalid++;
	return XDP_PASS;
}

// receive_rare is about packets that seldom come: ICMP errors, replies with IP options or behind a tag. Those that may
// be ours are handed over, and all are left to the host, which sends the resets.
apart int receive_rare(struct xdp_md *ctx, u32 at)
{
	struct ipv4 ip;
	struct tcp tcp;
	struct tally *t = tally_words();
	if (!t || bpf_xdp_load_bytes(ctx, at, &ip, sizeof ip) < 0 || ip.version_ihl >> 4 != 4)
		return XDP_PASS;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	u64 caplen = end - data;
	opaque(caplen);
	caplen -= at;
	u32 ihl = (ip.version_ihl & 15) * 4;
	if (ihl < sizeof ip || ip.fragment & htons(0x3fff))
		return XDP_PASS;
	if (ip.protocol == PROTOCOL_ICMP)
		return receive_icmp(ctx, t, at, ihl, caplen);
	if (ip.protocol != PROTOCOL_TCP || ip.target != scan.source)
		return XDP_PASS;
	if (bpf_xdp_load_bytes(ctx, at + ihl, &tcp, sizeof tcp) < 0 || !is_our_port(ntohs(tcp.target)) ||
	    (!(tcp.flags & FLAG_RST) && (tcp.flags & (FLAG_SYN | FLAG_ACK)) != (FLAG_SYN | FLAG_ACK)))
		return XDP_PASS;
	hand_over(ctx, t, at, caplen);
	return XDP_PASS;
}

// receive_tagged looks behind a tag of the number 0, which is a priority and no network. Frames of a numbered network
// are left to the host's devices, and where it has none, to the packet socket (rawsock.RxConfig.Except).
inline int receive_tagged(struct xdp_md *ctx)
{
	struct {
		u16 tci, type;
	} tag;
	if (bpf_xdp_load_bytes(ctx, ETHER_LEN, &tag, sizeof tag) < 0 || tag.tci & htons(0x0fff) || tag.type != htons(ETHERTYPE_IPV4))
		return XDP_PASS;
	return receive_rare(ctx, ETHER_LEN + sizeof tag);
}

inline int receive_packet(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct headers h = headers_of(data);
	if ((void *)h.tcp > end)
		return XDP_PASS;
	if (h.ether->type != htons(ETHERTYPE_IPV4))
		return h.ether->type == htons(ETHERTYPE_VLAN) || h.ether->type == htons(ETHERTYPE_QINQ) ? receive_tagged(ctx) : XDP_PASS;
	if (h.ip->protocol == PROTOCOL_ICMP || (h.ip->protocol == PROTOCOL_TCP && h.ip->version_ihl != 0x45))
		return receive_rare(ctx, ETHER_LEN);
	u32 caplen = end - data - ETHER_LEN;
	if (h.ip->protocol != PROTOCOL_TCP || h.ip->fragment & htons(0x3fff) || h.ip->target != scan.source)
		return XDP_PASS;
	struct tally *t = tally_words();
	if (!t)
		return XDP_PASS;
	if (data + HEADERS_LEN > end || !is_our_port(ntohs(h.tcp->target)))
		return XDP_PASS;
	u8 flags = h.tcp->flags & (FLAG_SYN | FLAG_ACK | FLAG_RST);
	if (!(flags & FLAG_RST) && flags != (FLAG_SYN | FLAG_ACK))
		return XDP_PASS;

	u32 total = ntohs(h.ip->total), offset = h.tcp->offset >> 4 << 2;
	u32 segment = (total < caplen ? total : caplen) - sizeof *h.ip;
	u32 cookie = cookie_hash(h.ip->target, h.ip->source, h.tcp->target, h.tcp->source);
	u32 acked = ntohl(h.tcp->ack) - cookie;
	u32 state = flags & FLAG_RST ? STATE_CLOSED : STATE_OPEN;
	u32 attempt = ntohs(h.tcp->target) - scan.port_min;
	u64 index;
	if (total < HEADERS_LEN - ETHER_LEN || offset < sizeof *h.tcp || offset > segment || // also where the subtraction wrapped
	    (flags != (FLAG_SYN | FLAG_ACK) && flags != (FLAG_RST | FLAG_ACK)) ||
	    (acked != 1 && !(acked == 0 && state == STATE_CLOSED)) ||
	    (index = space_index(ntohl(h.ip->source), ntohs(h.tcp->source))) == NOTHING) {
		t->invalid++;
		return XDP_PASS;
	}
	if (attempt == scan.port_max - scan.port_min) { // a beacon's: user space knows it, and the host sends the reset
		hand_over(ctx, t, ETHER_LEN, caplen);
		return XDP_PASS;
	}
	settle(ctx, t, permute_position(index), state, attempt, sizeof *h.ip + offset);
	if (state == STATE_CLOSED)
		return XDP_DROP;

	struct control *w = control_words();
	if (!w || w->host_resets)
		return XDP_PASS;
	if (bpf_xdp_adjust_tail(ctx, HEADERS_LEN - (int)(caplen + ETHER_LEN)) < 0)
		return XDP_PASS;
	data = (void *)(long)ctx->data, end = (void *)(long)ctx->data_end;
	h = headers_of(data);
	if (data + HEADERS_LEN > end)
		return XDP_PASS;
	write_reset(h);
	t->resets++;
	return XDP_TX;
}
