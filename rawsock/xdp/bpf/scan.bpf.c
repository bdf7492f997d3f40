// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The programs of a scan: the receiver on the interface's XDP hook, the generator that BPF_PROG_RUN
// repeats over live frames, and the tracepoints that tell what became of its frames.
#include "base.h"
#include "cookie.h"
#include "frame.h"
#include "permute.h"
#include "results.h"
#include "target.h"

char _license[] SEC("license") = "GPL";

#include "receive.h"
#include "generate.h"

SEC("xdp")
int receive(struct xdp_md *ctx) { return receive_packet(ctx); }

SEC("xdp")
int generate(struct xdp_md *ctx) { return generate_probe(ctx); }

// What xdp_devmap_xmit and xdp_redirect_err give (include/trace/events/xdp.h).
struct devmap_xmit {
	u64 from, to, sent, drops, err;
};

struct redirect_err {
	u64 dev, prog, target, err;
};

SEC("raw_tracepoint/xdp_devmap_xmit")
int transmitted(struct devmap_xmit *e)
{
	driver_answered((int)e->sent, (int)e->drops, (int)e->err);
	return 0;
}

SEC("raw_tracepoint/xdp_redirect_err")
int redirect_failed(struct redirect_err *e)
{
	redirect_refused((int)e->err);
	return 0;
}

// Sends the frame that it is given, as the generator does: whether the driver takes it is what is asked.
SEC("xdp")
int try_driver(struct xdp_md *ctx)
{
	struct control *w = control_words();
	if (!w)
		return XDP_DROP;
	w->pending[w->redirected++ % PENDING] = 0;
	return bpf_redirect(scan.ifindex, 0);
}
