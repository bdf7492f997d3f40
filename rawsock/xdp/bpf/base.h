// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Types, and the layout of what Go and the programs share: Go's side of it is generated from here.
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define inline static __always_inline

// A function that the verifier looks at once, whoever calls it.
#define apart __attribute__((noinline))

// Objects are built for little-endian machines (bpfel).
#define ntohs(x) __builtin_bswap16(x)
#define htons(x) __builtin_bswap16(x)
#define ntohl(x) __builtin_bswap32(x)
#define htonl(x) __builtin_bswap32(x)

// Keeps the compiler from turning a check that the verifier must see into something that it cannot
// follow.
#define opaque(x) asm volatile("" : "+r"(x))

#define PERMUTE_ROUNDS 6
#define MAX_FRAME 74 // Ethernet, IPv4, TCP with 20 bytes of options
#define MAX_ATTEMPTS 16
#define ETHER_LEN 14

// config is constant while the programs are loaded; the verifier sees its values.
struct config {
	// scan/permute.Params
	u64 length;
	u64 low_bits;
	u64 high;
	u64 keys[PERMUTE_ROUNDS];

	// scan/target.Space: addresses × ports, then groups of pairs
	u64 product; // positions of the product
	u64 magic;   // ceil(2^64 / ports), 0 for one port
	u64 num_ports;
	u64 num_groups;

	// scan/probe.Key
	u64 k0;
	u64 k1;

	// window.Map
	u64 window_mask; // positions in the window, less one
	u64 guard;       // positions

	u64 clock_offset; // ns from CLOCK_MONOTONIC to Unix time
	u64 times_mask;   // entries of an attempt's send times, less one
	u64 loss_begin;   // first position of the scan
	u64 loss_chunks;

	u32 times_shift; // log2 of the positions that share an entry
	u32 loss_shift; // log2 of the positions of a chunk
	u32 source;     // our address, in network byte order
	u16 port_min;   // our source ports, host byte order
	u16 port_max;
	u32 emits;      // states whose news go to user space: bits as in results.State
	u32 rtt_sample; // of the replies that make no record, one in 2^n goes up for its round trip

	// The generator's
	u32 ifindex;
	u32 frame_len;
};

// template is the probe with its varying fields zero, and the partial checksums over it, as
// scan/probe.Template has them.
struct template {
	u8 frame[80]; // zero behind the frame's length
	u32 ip_sum;
	u32 tcp_sum;
};

// pass is what the schedule tells the generator to send: scan.pass. It lies in a ring.
struct pass {
	u64 begin;
	u64 end;
	u8 first;   // every position, answered or not
	u8 sample;  // only silent positions of the sample
	u8 sampled; // positions of the sample have had one probe more
	u8 stride;  // log2 of: one position in how many belongs to the sample
	u8 probes;  // that every position has had while silent
	u8 pad[3];
};

const volatile struct config scan;

#define PASSES 64
#define PENDING 256  // frames between redirect and the driver's answer: at most a batch of 64
#define REFUSED 1024 // frames to be sent again

// control is what changes while the programs run. Each cache line has one writer.
struct control {
	// Go
	u64 low; // window.Map: positions below have left the window
	u64 high;
	u64 granted; // probes that the limiter has let pass, in all
	u64 posted;  // passes, in all
	u64 host_resets; // SYN-ACKs go to the host, which answers them itself
	struct template template;
	u64 excluding; // some addresses are not probed any more: see generate.h
	u64 pad0[3];

	// the generator
	u64 finished;   // passes, in all
	u64 cursor;     // next position of the pass being worked on, 0: at its begin
	u64 spent;      // of granted
	u64 redirected; // frames given to the driver, in all
	u64 resent;     // taken from refused
	u64 granule;    // last entry of the send times that was written
	u64 starved;    // runs that ended for want of a grant or a pass
	u64 excluded;   // positions that were not probed for their address

	// the tracepoints, on the generator's CPU
	u64 flushed;        // of redirected: the driver has answered
	u64 sent;           // accepted by the driver
	u64 retransmitted;  // of sent
	u64 sampled;        // of retransmitted, in sample passes
	u64 refused;        // by the driver, to be sent again
	u64 errors;         // refused by the redirect itself
	u64 error;          // errno of the last refusal
	u64 cpu;            // written once by Go before the first run

	u64 pending[PENDING]; // position | attempt << 48 | flags
	u64 refusals[REFUSED];
	struct pass passes[PASSES];
};

// tally is what the receiver counts, of each CPU apart.
struct tally {
	u64 replies;
	u64 duplicates;
	u64 outranked;
	u64 late;
	u64 invalid;
	u64 ring_full; // replies that were not marked, for want of room for their record
	u64 overruns;
	u64 resets; // sent in answer to a SYN-ACK
	u64 open;   // positions by best state, modulo 2^64: a better answer takes from another
	u64 closed;
	u64 filtered;
	u64 repeated; // first answers that came to a later attempt
};

#define RECORD_NEWS 0   // news, marked
#define RECORD_SAMPLE 1 // marked, but nothing to report: for its round trip
#define RECORD_RAW 2    // not looked into: user space decides
#define NEWS_BYTES 80   // IPv4 without options, TCP with 40 bytes of them
#define RAW_BYTES 136 // an ICMP error that quotes 8 bytes, with 40 bytes of IP options twice

struct news {
	u64 time; // CLOCK_MONOTONIC, ns
	u64 position;
	u8 kind;
	u8 length; // of packet
	u8 pad[6];
	u8 packet[NEWS_BYTES]; // from the IP header on
};

struct raw {
	u64 time;
	u64 position;
	u8 kind;
	u8 length;
	u8 pad[6];
	u8 packet[RAW_BYTES];
};

#define PENDING_FIRST (1ULL << 63)
#define PENDING_SAMPLE (1ULL << 62)
#define PENDING_AGAIN (1ULL << 61)
#define PENDING_POSITION ((1ULL << 48) - 1)
