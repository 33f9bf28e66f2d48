/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a trace from standard input and runs a discipline of the kernel on it; the trace and what is printed are described in
   ../queueing_tool.cpp, which does the same with Pollux. */
#ifndef POLLUX_JUDGE_H
#define POLLUX_JUDGE_H

#include "kernel_shim.h"

u64 shim_now;
unsigned long jiffies;

static struct net_device device = {.name = "shim", .mtu = 1514};

static struct sk_buff *new_packet(u32 id, u32 flow, u32 length, u32 ecn)
{
	struct sk_buff *skb = calloc(1, sizeof *skb);
	skb->id = id;
	skb->flow = flow;
	skb->len = length;
	skb->ecn = ecn;
	skb->truesize = 192 + 128 + 192 + length - 34; /* two mbufs, a buffer of the first, and what is outside of it */
	skb->dev = &device;
	qdisc_skb_cb(skb)->pkt_len = length;
	return skb;
}

static int compare_numbers(const void *a, const void *b)
{
	const u32 left = *(const u32 *)a, right = *(const u32 *)b;
	return left < right ? -1 : left > right;
}

static u32 dropped[65536];
static u32 drops;

static void note_drop(const struct sk_buff *skb) { dropped[drops++] = skb->id; }

/* In the order of their numbers, since the order of one event's drops is no decision. */
static void print_drops(void)
{
	qsort(dropped, drops, sizeof dropped[0], compare_numbers);
	for (u32 i = 0; i < drops; ++i)
		printf(" x%u", dropped[i]);
	printf("\n");
	drops = 0;
}

static void note_freed(struct sk_buff *to_free)
{
	while (to_free) {
		struct sk_buff *const next = to_free->next;
		note_drop(to_free);
		free(to_free);
		to_free = next;
	}
}

#endif
