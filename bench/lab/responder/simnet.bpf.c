// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//go:build ignore

// The simulated internet: answers TCP SYNs to every IPv4 address and port by a keyed hash.
//
//	probe ─▶ left to the kernel? ─▶ SYN? ─▶ lost ─▶ state by hash ─▶ limited ─▶ lost ─▶ reply in place ─▶ XDP_TX
//	                                                                              └ twice: XDP_PASS ─▶ duplicate (tc)
//
// The reply is made of the probe's own frame, as ten or eleven 32-bit words whose sums are the checksums.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

// Parameters, written before the program is loaded. They are constants to the verifier, which removes
// what they rule out. A share is a threshold: of 2^32 equally likely values those below it.
const volatile __u64 key_a = 0, key_b = 0;
const volatile __u64 open_below = 0, answered_below = 0; // between the two: closed
const volatile __u64 alive_below = 1ULL << 32, answer_all_below = 0;
const volatile __u64 lost_in_below = 0, lost_out_below = 0, twice_below = 0;
const volatile __u64 reset_interval = 0; // ns between two RSTs of an address; 0: no limit
const volatile __u64 reset_burst = 0;    // ns worth of RSTs that an address may send at once
const volatile __u16 beacon_port = 0; // network byte order
const volatile __u32 has_local = 0, local_net = 0, local_mask = 0; // network byte order

struct counters {
	__u64 syns;
	__u64 syn_acks;
	__u64 resets;
	__u64 silent;
	__u64 lost_in;
	__u64 lost_out;
	__u64 duplicates;
	__u64 limited;
	__u64 resets_received;
	__u64 others;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");

// Per address the time (ns) until which its RSTs are spent. An address that is pushed out by others
// starts afresh.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 18);
	__type(key, __u32);
	__type(value, __u64);
} buckets SEC(".maps");

enum state { SILENT, CLOSED, OPEN };

#define ALL (1ULL << 32)
#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define FRAGMENT 0x3fff // offset and more-fragments (RFC 791 section 3.1)
#define WINDOW 64240
#define MSS_OPTION (0x02040000 | 1460) // kind 2, length 4 (RFC 9293 section 3.2)
#define TWICE 0x54574943		// metadata before a frame that is to be sent twice
#define NEXT -1				// TCX_NEXT: not ours, go on

// Two rounds of xor-shift and multiply as in splitmix64's finalizer (variant 13 of Stafford's), with a
// key before each. hash.go has the same in Go.
static __always_inline __u64 hash(__u64 x)
{
	x ^= key_a;
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x += key_b;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return x;
}

// A host is hashed as a port that no packet can have.
static __always_inline __u64 host_hash(__u32 addr)
{
	return hash((__u64)addr | 1ULL << 63);
}

static __always_inline enum state state_of(__u32 addr, __u64 h)
{
	if (alive_below < ALL || answer_all_below) {
		__u64 host = host_hash(addr);

		if ((host >> 32) >= alive_below)
			return SILENT;
		if ((host & 0xffffffff) < answer_all_below)
			return OPEN;
	}
	h >>= 32;
	if (h < open_below)
		return OPEN;
	return h < answered_below ? CLOSED : SILENT;
}

static __always_inline int chance(__u64 below)
{
	return bpf_get_prandom_u32() < below;
}

// A token bucket kept as one time, the generic cell rate algorithm of ITU-T I.371.
static __always_inline int may_reset(__u32 addr)
{
	__u64 now = bpf_ktime_get_ns(), first = now + reset_interval;
	__u64 *spent = bpf_map_lookup_elem(&buckets, &addr);

	if (!spent) {
		if (!bpf_map_update_elem(&buckets, &addr, &first, BPF_NOEXIST))
			return 1;
		spent = bpf_map_lookup_elem(&buckets, &addr); // another CPU was first
		if (!spent)
			return 0;
	}
	for (int i = 0; i < 4; i++) {
		__u64 old = *(volatile __u64 *)spent;
		__u64 next = (old > now ? old : now) + reset_interval;

		if (next - now > reset_burst)
			return 0;
		if (__sync_val_compare_and_swap(spent, old, next) == old)
			return 1;
	}
	return 0;
}

// The Internet checksum (RFC 1071) of words that were added up in memory order.
static __always_inline __u16 checksum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

// Metadata in front of a frame survives XDP_PASS: duplicate finds it there.
static __always_inline int send_twice(struct xdp_md *ctx, struct counters *c)
{
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(__u32))) {
		c->duplicates--; // the driver has no metadata
		return XDP_TX;
	}
	__u32 *mark = (void *)(long)ctx->data_meta;

	if ((void *)(mark + 1) > (void *)(long)ctx->data)
		return XDP_DROP;
	*mark = TWICE;
	return XDP_PASS;
}

static __always_inline int answer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 slot = 0;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS; // ARP, IPv6
	if (has_local && (ip->daddr & local_mask) == local_net)
		return XDP_PASS;

	if ((void *)(tcp + 1) <= end && *(__u8 *)ip == 0x45 && *(__be16 *)tcp == beacon_port)
		slot = 1; // answered, and counted apart

	struct counters *c = bpf_map_lookup_elem(&counts, &slot);

	if (!c)
		return XDP_DROP;

	__u32 *word = (void *)ip; // the header as 32-bit words, network byte order
	__u32 total = bpf_ntohs(ip->tot_len);

	if ((void *)(tcp + 1) > end || *(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_TCP ||
	    ip->frag_off & bpf_htons(FRAGMENT) || total < 40 || (void *)ip + total > end) {
		c->others++;
		return XDP_DROP;
	}

	__u32 header = (((__u8 *)tcp)[12] >> 4) * 4;
	__u8 flags = ((__u8 *)tcp)[13];

	if ((flags & (FIN | SYN | RST | ACK)) != SYN || header < 20 || header + 20 > total) {
		if (flags & RST)
			c->resets_received++;
		else
			c->others++;
		return XDP_DROP;
	}
	c->syns++;
	if (lost_in_below && chance(lost_in_below)) {
		c->lost_in++;
		return XDP_DROP;
	}
	if (!answered_below && !answer_all_below) {
		c->silent++;
		return XDP_DROP;
	}

	__u32 addr = bpf_ntohl(ip->daddr);
	__u64 h = hash((__u64)addr << 16 | bpf_ntohs(tcp->dest));
	enum state state = state_of(addr, h);

	if (state == SILENT) {
		c->silent++;
		return XDP_DROP;
	}
	if (state == OPEN) {
		c->syn_acks++;
	} else {
		if (reset_interval && !may_reset(addr)) {
			c->limited++;
			return XDP_DROP;
		}
		c->resets++;
	}

	int copies = 1;

	if (twice_below && chance(twice_below)) {
		copies = 2;
		c->duplicates++;
	}
	if (lost_out_below) {
		int lost = chance(lost_out_below);

		if (copies == 2)
			lost += chance(lost_out_below);
		copies -= lost;
		c->lost_out += lost;
		if (copies == 0)
			return XDP_DROP;
	}

	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);

	__u32 length = 20;
	__u32 from = ip->daddr, to = ip->saddr;
	__u32 ports = word[5], seq = 0;
	__u32 control = 5 << 28 | (RST | ACK) << 16;
	__u64 sum = 0;

	if (state == OPEN) {
		seq = bpf_htonl((__u32)h);
		control = 5 << 28 | (SYN | ACK) << 16 | WINDOW;
		if (header >= 24 && (void *)(word + 11) <= end) { // the probe had options: room for one
			length = 24;
			control += 1 << 28;
			word[10] = bpf_htonl(MSS_OPTION);
			sum = bpf_htonl(MSS_OPTION);
		}
	}
	word[0] = bpf_htonl(0x45000000 | (20 + length));
	word[1] = bpf_htonl(0x00004000); // identification 0, do not fragment
	word[2] = bpf_htonl(64 << 24 | IPPROTO_TCP << 16);
	word[3] = from;
	word[4] = to;
	ip->check = checksum((__u64)word[0] + word[1] + word[2] + from + to);

	word[5] = ports << 16 | ports >> 16;
	word[7] = bpf_htonl(bpf_ntohl(word[6]) + 1);
	word[6] = seq;
	word[8] = bpf_htonl(control);
	word[9] = 0;
	sum += (__u64)from + to + bpf_htonl(IPPROTO_TCP << 16 | length);
	tcp->check = checksum(sum + ports + seq + word[7] + word[8]);

	long excess = end - data;

	asm volatile("" : "+r"(excess)); // the verifier forbids to take pointers apart in 32 bits
	excess -= ETH_HLEN + 20 + length;
	if (excess > 0)
		bpf_xdp_adjust_tail(ctx, -excess);
	return copies == 2 ? send_twice(ctx, c) : XDP_TX;
}

SEC("xdp") int respond(struct xdp_md *ctx)
{
	return answer(ctx);
}

// At the scanner's end: veth delivers what XDP_TX sends only where the other end has a program.
SEC("xdp") int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

// At the ingress of the far end: sends the replies that respond has marked, twice. XDP itself cannot
// clone a frame.
SEC("tc") int duplicate(struct __sk_buff *skb)
{
	__u32 *mark = (void *)(long)skb->data_meta;

	if ((void *)(mark + 1) > (void *)(long)skb->data || *mark != TWICE)
		return NEXT;
	bpf_clone_redirect(skb, skb->ifindex, 0);
	return bpf_redirect(skb->ifindex, 0);
}

__u32 measured = 0;

// For benchmarks: BPF_PROG_TEST_RUN repeats a program on what the last run left of the frame, so the
// reply is made a probe again, to the next of many addresses.
SEC("xdp") int measure(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	ip->daddr = bpf_htonl(0x0a000000 | (++measured * 0x9e3779b1 >> 8));
	((__u8 *)tcp)[13] = SYN;
	return answer(ctx);
}
