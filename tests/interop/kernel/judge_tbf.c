/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"
#include "rates.h" /* made by the test */
#include "net/sched/sch_tbf.c"

static int fifo_enqueue(struct sk_buff *skb, struct Qdisc *sch, struct sk_buff **to_free)
{
	if (sch->qstats.backlog + qdisc_pkt_len(skb) > sch->limit)
		return qdisc_drop(skb, sch, to_free);
	skb->next = NULL;
	if (sch->q.head)
		sch->q.tail->next = skb;
	else
		sch->q.head = skb;
	sch->q.tail = skb;
	sch->q.qlen++;
	sch->qstats.backlog += qdisc_pkt_len(skb);
	return NET_XMIT_SUCCESS;
}

static struct sk_buff *fifo_dequeue(struct Qdisc *sch)
{
	struct sk_buff *const skb = sch->q.head;
	sch->q.head = skb->next;
	sch->q.qlen--;
	sch->qstats.backlog -= qdisc_pkt_len(skb);
	return skb;
}

static struct sk_buff *fifo_peek(struct Qdisc *sch) { return sch->q.head; }

struct Qdisc_ops bfifo_qdisc_ops = {.enqueue = fifo_enqueue, .dequeue = fifo_dequeue, .peek = fifo_peek};
struct Qdisc noop_qdisc;

struct Qdisc *fifo_create_dflt(struct Qdisc *sch, struct Qdisc_ops *ops, unsigned limit, struct netlink_ext_ack *extack)
{
	struct Qdisc *const fifo = calloc(1, sizeof *fifo);
	fifo->ops = ops;
	fifo->enqueue = ops->enqueue;
	fifo->dequeue = ops->dequeue;
	fifo->limit = limit;
	return fifo;
}

int main(void)
{
	static struct Qdisc sch;
	static struct nlattr options[TCA_TBF_MAX + 1];
	static struct tc_tbf_qopt parameters;
	u64 rate, peak;
	u32 burst, mtu, overhead, limit, id, flow, length, field;
	char what;

	if (scanf("%llu %u %llu %u %u %u", &rate, &burst, &peak, &mtu, &overhead, &limit) != 6)
		return 2;
	parameters.limit = limit;
	parameters.rate.overhead = parameters.peakrate.overhead = (unsigned short)overhead;
	/* The rates themselves are in attributes of their own; these only say that there are some. */
	parameters.rate.rate = 1;
	parameters.peakrate.rate = peak ? 1 : 0;
#define SET(name, number) options[TCA_TBF_##name] = (struct nlattr){.present = true, .value = (number)}
	options[TCA_TBF_PARMS] = (struct nlattr){.present = true, .data = &parameters};
	SET(RATE64, rate);
	SET(BURST, burst);
	if (peak) {
		SET(PRATE64, peak);
		SET(PBURST, mtu);
	}
	sch.dev = &device;
	sch.ops = &tbf_qdisc_ops;
	if (tbf_qdisc_ops.init(&sch, options, NULL) != 0)
		return 3;
	struct tbf_sched_data *const tbf = qdisc_priv(&sch);
	while (scanf(" %c %llu", &what, &shim_now) == 2) {
		if (what == 'E') {
			struct sk_buff *to_free = NULL;
			if (scanf("%u %u %u %u", &id, &flow, &length, &field) != 4)
				return 2;
			tbf_qdisc_ops.enqueue(new_packet(id, flow, length, field), &sch, &to_free);
			note_freed(to_free);
			printf("E %u", id);
		} else {
			tbf->watchdog.expires = 0;
			struct sk_buff *const skb = tbf_qdisc_ops.dequeue(&sch);
			if (skb)
				printf("D %u", skb->id);
			else
				printf("D - next %llu", tbf->watchdog.expires);
			free(skb);
		}
		printf(" waiting %u %u", sch.q.qlen, sch.qstats.backlog);
		print_drops();
	}
	return 0;
}
