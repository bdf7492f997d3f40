// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames: the headers that the programs read and write, the probe and the polite reset.
#pragma once

#include "base.h"
#include "cookie.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_VLAN 0x8100 // 802.1Q
#define ETHERTYPE_QINQ 0x88a8 // 802.1ad
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6

#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

struct ethernet {
	u8 to[6];
	u8 from[6];
	u16 type;
};

struct ipv4 {
	u8 version_ihl;
	u8 tos;
	u16 total;
	u16 id;
	u16 fragment;
	u8 ttl;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 target;
};

struct tcp {
	u16 source;
	u16 target;
	u32 seq;
	u32 ack;
	u8 offset;
	u8 flags;
	u16 window;
	u16 checksum;
	u16 urgent;
};

// headers point into a frame; the structs are not packed, so that fields are read in one piece.
struct headers {
	struct ethernet *ether;
	struct ipv4 *ip;
	struct tcp *tcp; // where IP has no options
};

#define HEADERS_LEN 54

inline struct headers headers_of(void *data)
{
	return (struct headers){data, data + ETHER_LEN, data + ETHER_LEN + 20};
}

// fold_checksum folds a sum of 16-bit words and complements it (RFC 1071).
inline u16 fold_checksum(u64 sum)
{
	sum = (sum >> 32) + (u32)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum;
}

// write_probe makes the probe to address and port, host byte order, of the frame, as
// scan/probe.Template.Patch does. Whatever was in the frame before is overwritten: its page may have
// been a reply since.
inline int write_probe(const struct template *t, void *data, void *end, u32 addr, u16 port, u16 source_port)
{
	struct headers h = headers_of(data);
	if (data + HEADERS_LEN > end)
		return 0;
	const u64 *from = (const u64 *)t->frame;
	u64 *to = data;
#pragma unroll
	for (int i = 0; i < 6; i++)
		to[i] = from[i];
	*(u32 *)(data + 48) = *(const u32 *)(t->frame + 48);
	*(u16 *)(data + 52) = *(const u16 *)(t->frame + 52);
	if (scan.frame_len > HEADERS_LEN) {
#pragma unroll
		for (int i = HEADERS_LEN; i < MAX_FRAME; i += 4) {
			if (data + i + 4 > end)
				break;
			*(u16 *)(data + i) = *(const u16 *)(t->frame + i);
			*(u16 *)(data + i + 2) = *(const u16 *)(t->frame + i + 2);
		}
	}

	u64 hash = cookie_hash(scan.source, htonl(addr), htons(source_port), htons(port));
	u32 seq = hash, target = (addr >> 16) + (addr & 0xffff);
	u16 id = hash >> 32;
	h.ip->id = htons(id);
	h.ip->checksum = htons(fold_checksum((u64)t->ip_sum + id + target));
	h.ip->target = htonl(addr);
	h.tcp->source = htons(source_port);
	h.tcp->target = htons(port);
	h.tcp->seq = htonl(seq);
	h.tcp->checksum = htons(fold_checksum((u64)t->tcp_sum + target + source_port + port + (seq >> 16) + (seq & 0xffff)));
	return 1;
}

inline u64 sum_words(const void *from, int words)
{
	const u16 *w = from;
	u64 sum = 0;
#pragma unroll
	for (int i = 0; i < words; i++)
		sum += w[i];
	return sum;
}

// write_reset turns a SYN-ACK to us into the RST that a host without such a connection answers (RFC
// 9293 section 3.10.7.1: the segment has ACK, so the reset takes its sequence number from there).
inline void write_reset(struct headers h)
{
	u8 mac[6];
	__builtin_memcpy(mac, h.ether->to, 6);
	__builtin_memcpy(h.ether->to, h.ether->from, 6);
	__builtin_memcpy(h.ether->from, mac, 6);

	u32 us = h.ip->target;
	u16 our_port = h.tcp->target;
	h.ip->target = h.ip->source;
	h.ip->source = us;
	h.ip->version_ihl = 0x45;
	h.ip->tos = 0;
	h.ip->total = htons(40);
	h.ip->id = 0;
	h.ip->fragment = htons(0x4000); // don't fragment: the ID then means nothing (RFC 6864)
	h.ip->ttl = 64;
	h.ip->checksum = 0;
	h.ip->checksum = fold_checksum(sum_words(h.ip, 10));

	h.tcp->target = h.tcp->source;
	h.tcp->source = our_port;
	h.tcp->seq = h.tcp->ack;
	h.tcp->ack = 0;
	h.tcp->offset = 5 << 4;
	h.tcp->flags = FLAG_RST;
	h.tcp->window = 0;
	h.tcp->urgent = 0;
	h.tcp->checksum = 0;
	h.tcp->checksum = fold_checksum(sum_words(&h.ip->source, 4) + sum_words(h.tcp, 10) + htons(PROTOCOL_TCP) + htons(20));
}
