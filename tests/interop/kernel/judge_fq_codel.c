/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"

static void note_codel_drop(struct sk_buff *skb);
/* CoDel frees the packets that it drops. */
#define kfree_skb(skb) note_codel_drop(skb)
#include "net/sched/sch_fq_codel.c"

static void note_codel_drop(struct sk_buff *skb)
{
	note_drop(skb);
	free(skb);
}

int main(void)
{
	static struct Qdisc sch;
	static struct nlattr options[TCA_FQ_CODEL_MAX + 1];
	u64 limit, flows, quantum, target, interval, ecn, memory, batch, mtu;
	long long ce;
	char what;
	u32 id, flow, length, field;

	if (scanf("%llu %llu %llu %llu %llu %llu %lld %llu %llu %llu", &limit, &flows, &quantum, &target, &interval, &ecn, &ce, &memory, &batch,
		  &mtu) != 10)
		return 2;
	device.mtu = (u32)mtu;
#define SET(name, number) options[TCA_FQ_CODEL_##name] = (struct nlattr){.present = true, .value = (number)}
	SET(LIMIT, limit);
	SET(FLOWS, flows);
	SET(QUANTUM, quantum);
	SET(TARGET, target);
	SET(INTERVAL, interval);
	SET(ECN, ecn);
	if (ce >= 0)
		SET(CE_THRESHOLD, (u64)ce);
	SET(MEMORY_LIMIT, memory);
	SET(DROP_BATCH_SIZE, batch);
	sch.dev = &device;
	sch.enqueue = fq_codel_qdisc_ops.enqueue;
	sch.dequeue = fq_codel_qdisc_ops.dequeue;
	sch.ops = &fq_codel_qdisc_ops;
	if (fq_codel_qdisc_ops.init(&sch, options, NULL) != 0)
		return 3;
	while (scanf(" %c %llu", &what, &shim_now) == 2) {
		if (what == 'E') {
			struct sk_buff *to_free = NULL;
			if (scanf("%u %u %u %u", &id, &flow, &length, &field) != 4)
				return 2;
			/* A hash that is scaled to the flow. */
			const u32 hash = (u32)((((u64)flow << 32) + flows - 1) / flows);
			fq_codel_qdisc_ops.enqueue(new_packet(id, hash, length, field), &sch, &to_free);
			note_freed(to_free);
			printf("E %u", id);
		} else {
			struct sk_buff *const skb = fq_codel_qdisc_ops.dequeue(&sch);
			if (skb)
				printf("D %u ecn %u", skb->id, skb->ecn);
			else
				printf("D -");
			free(skb);
		}
		printf(" waiting %u %u", sch.q.qlen, sch.qstats.backlog);
		print_drops();
	}
	return 0;
}
