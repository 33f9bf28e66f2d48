/* SPDX-License-Identifier: BSD-3-Clause */
/* What Linux's queueing disciplines and its dynamic queue limits use of the kernel, as little as they need: a clock that the
   program sets, packets that are a length, a flow and an ECN field, and attributes that the program fills in. The sources are
   compiled with it unchanged; every kernel header that they include leads here. */
#ifndef POLLUX_KERNEL_SHIM_H
#define POLLUX_KERNEL_SHIM_H

#include <asm/errno.h>
#include <asm/types.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned gfp_t;
typedef unsigned long long netdev_features_t;

#include <linux/pkt_sched.h>

#define __init
#define __exit
#define __rcu
#define __read_mostly
#define __maybe_unused __attribute__((unused))
#define ____cacheline_aligned_in_smp
#define barrier() __asm__ volatile("" ::: "memory")
#define likely(condition) (condition)
#define unlikely(condition) (condition)
#define READ_ONCE(variable) (variable)
#define WRITE_ONCE(variable, value) ((variable) = (value))
#define EXPORT_SYMBOL(name) struct pollux_unused_##name
#define MODULE_AUTHOR(text) struct pollux_unused_author
#define MODULE_LICENSE(text) struct pollux_unused_license
#define MODULE_DESCRIPTION(text) struct pollux_unused_description
#define MODULE_ALIAS_NET_SCH(text) struct pollux_unused_alias
#define module_init(function) int (*const pollux_init)(void) = function;
#define module_exit(function) void (*const pollux_exit)(void) = function;
#define THIS_MODULE NULL
#define BUG_ON(condition) ((condition) ? abort() : (void)0)
#define WARN_ON(condition) (condition)
#define WARN_ON_ONCE(condition) (condition)
#define pr_warn_ratelimited(...) ((void)0)
#define pr_warn(...) ((void)0)
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), "the shim")
#define typecheck(type, value) 1
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define clamp(value, low, high) min(max(value, low), high)
#define clamp_t(type, value, low, high) clamp((type)(value), (type)(low), (type)(high))
#define DIV_ROUND_UP(a, b) (((a) + (b)-1) / (b))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(number) (1UL << (number))
#define do_div(dividend, divisor) ((dividend) /= (divisor))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define GFP_KERNEL 0
#define NSEC_PER_USEC 1000L
#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_SEC 1000000000L

/* Time, which the program sets. A jiffy is a millisecond. */
extern u64 shim_now;
extern unsigned long jiffies;
#define HZ 1000
#define time_after(a, b) ((long)((b) - (a)) < 0)
static inline u64 ktime_get_ns(void) { return shim_now; }
static inline u64 div64_u64(u64 a, u64 b) { return a / b; }
static inline u32 reciprocal_scale(u32 value, u32 range) { return (u32)((u64)value * range >> 32); }

static inline void *kvcalloc(size_t count, size_t size, gfp_t flags) { return calloc(count, size); }
static inline void kvfree(const void *memory) { free((void *)memory); }

struct list_head {
	struct list_head *next, *prev;
};
static inline void INIT_LIST_HEAD(struct list_head *list) { list->next = list->prev = list; }
static inline bool list_empty(const struct list_head *list) { return list->next == list; }
static inline void list_add_tail(struct list_head *one, struct list_head *list)
{
	one->prev = list->prev;
	one->next = list;
	list->prev->next = one;
	list->prev = one;
}
static inline void list_del_init(struct list_head *one)
{
	one->prev->next = one->next;
	one->next->prev = one->prev;
	INIT_LIST_HEAD(one);
}
static inline void list_move_tail(struct list_head *one, struct list_head *list)
{
	list_del_init(one);
	list_add_tail(one, list);
}
#define list_first_entry(list, type, member) container_of((list)->next, type, member)
#define list_for_each(at, list) for (at = (list)->next; at != (list); at = at->next)

/* Packets. */
struct net_device;
struct shim_device_ops {
	int (*ndo_setup_tc)(struct net_device *, int, void *);
};
struct net_device {
	const char *name;
	u32 mtu;
	struct shim_device_ops *netdev_ops;
};
struct sk_buff {
	struct sk_buff *next;
	u32 len, truesize, priority, tc_classid;
	u32 id, flow, ecn;
	struct net_device *dev;
	char cb[64];
};
struct sk_buff_head {
	struct sk_buff *first;
};
struct qdisc_skb_cb {
	u32 pkt_len;
	unsigned char data[20];
};
static inline struct qdisc_skb_cb *qdisc_skb_cb(const struct sk_buff *skb) { return (struct qdisc_skb_cb *)skb->cb; }
#define qdisc_cb_private_validate(skb, size) ((void)(size))
static inline u32 qdisc_pkt_len(const struct sk_buff *skb) { return qdisc_skb_cb(skb)->pkt_len; }
static inline void skb_mark_not_on_list(struct sk_buff *skb) { skb->next = NULL; }
static inline struct sk_buff *skb_peek(const struct sk_buff_head *list) { return list->first; }
static inline void __skb_queue_head(struct sk_buff_head *list, struct sk_buff *skb) { list->first = skb; }
static inline void kfree_skb(struct sk_buff *skb) {}
static inline void consume_skb(struct sk_buff *skb) {}
static inline void rtnl_kfree_skbs(struct sk_buff *first, struct sk_buff *last) {}
static inline u32 skb_get_hash(struct sk_buff *skb) { return skb->flow; } /* scaled by the program */
static inline bool skb_is_gso(const struct sk_buff *skb) { return false; }
static inline bool skb_gso_validate_mac_len(const struct sk_buff *skb, u32 len) { return false; }
static inline netdev_features_t netif_skb_features(struct sk_buff *skb) { return 0; }
static inline struct sk_buff *skb_gso_segment(struct sk_buff *skb, netdev_features_t features) { return NULL; }
#define NETIF_F_GSO_MASK 0
#define IS_ERR(pointer) ((pointer) == NULL)
#define PTR_ERR(pointer) (-ENOMEM)
#define IS_ERR_OR_NULL(pointer) ((pointer) == NULL)
#define skb_list_walk_safe(first, skb, after) \
	for ((skb) = (first), (after) = (skb) ? (skb)->next : NULL; (skb); (skb) = (after), (after) = (skb) ? (skb)->next : NULL)
#define INET_ECN_MASK 3
static inline int skb_get_dsfield(struct sk_buff *skb) { return (int)skb->ecn; }
static inline int INET_ECN_set_ce(struct sk_buff *skb)
{
	if (skb->ecn == 0)
		return 0;
	skb->ecn = 3;
	return 1;
}
static inline int INET_ECN_set_ect1(struct sk_buff *skb) { return 0; }

/* Disciplines. */
struct Qdisc;
struct nlattr {
	bool present;
	u64 value;
	const void *data;
};
struct netlink_ext_ack;
struct qdisc_walker {
	int stop, skip, count;
};
struct gnet_dump;
struct gnet_stats_queue {
	u32 qlen, backlog, drops, requeues, overlimits;
};
struct tcf_proto;
struct tcf_block;
struct tcf_result {
	u32 classid;
};
struct tcmsg {
	u32 tcm_handle, tcm_info;
};
struct Qdisc_class_ops {
	int (*graft)(struct Qdisc *, unsigned long, struct Qdisc *, struct Qdisc **, struct netlink_ext_ack *);
	struct Qdisc *(*leaf)(struct Qdisc *, unsigned long);
	unsigned long (*find)(struct Qdisc *, u32);
	void (*walk)(struct Qdisc *, struct qdisc_walker *);
	struct tcf_block *(*tcf_block)(struct Qdisc *, unsigned long, struct netlink_ext_ack *);
	unsigned long (*bind_tcf)(struct Qdisc *, unsigned long, u32);
	void (*unbind_tcf)(struct Qdisc *, unsigned long);
	int (*dump)(struct Qdisc *, unsigned long, struct sk_buff *, struct tcmsg *);
	int (*dump_stats)(struct Qdisc *, unsigned long, struct gnet_dump *);
};
struct Qdisc_ops {
	struct Qdisc_ops *next;
	const struct Qdisc_class_ops *cl_ops;
	char id[16];
	int priv_size;
	int (*enqueue)(struct sk_buff *, struct Qdisc *, struct sk_buff **);
	struct sk_buff *(*dequeue)(struct Qdisc *);
	struct sk_buff *(*peek)(struct Qdisc *);
	int (*init)(struct Qdisc *, struct nlattr *, struct netlink_ext_ack *);
	void (*reset)(struct Qdisc *);
	void (*destroy)(struct Qdisc *);
	int (*change)(struct Qdisc *, struct nlattr *, struct netlink_ext_ack *);
	int (*dump)(struct Qdisc *, struct sk_buff *);
	int (*dump_stats)(struct Qdisc *, struct gnet_dump *);
	void *owner;
};
struct qdisc_skb_head {
	struct sk_buff *head, *tail;
	u32 qlen;
};
struct gnet_stats_basic {
	u64 bytes, packets;
};
struct Qdisc {
	int (*enqueue)(struct sk_buff *, struct Qdisc *, struct sk_buff **);
	struct sk_buff *(*dequeue)(struct Qdisc *);
	unsigned flags;
	u32 limit, handle, parent;
	const struct Qdisc_ops *ops;
	struct qdisc_skb_head q;
	struct gnet_stats_queue qstats;
	struct gnet_stats_basic bstats;
	struct sk_buff_head gso_skb;
	struct net_device *dev;
	_Alignas(64) char data[4096];
};
#define TCA_OPTIONS 2
#define TCQ_F_CAN_BYPASS 4
#define TCQ_F_DEQUEUE_DROPS 0x400
#define TC_H_MAJ_MASK 0xFFFF0000U
#define NET_XMIT_SUCCESS 0
#define NET_XMIT_DROP 1
#define NET_XMIT_CN 2
#define __NET_XMIT_BYPASS 0x20000
#define net_xmit_drop_count(result) ((result) == NET_XMIT_CN ? 0 : 1)
static inline void *qdisc_priv(struct Qdisc *sch) { return sch->data; }
static inline struct net_device *qdisc_dev(const struct Qdisc *sch) { return sch->dev; }
static inline u32 psched_mtu(const struct net_device *dev) { return dev->mtu; }
static inline void qdisc_qstats_drop(struct Qdisc *sch) { sch->qstats.drops++; }
static inline void qdisc_qstats_overlimit(struct Qdisc *sch) { sch->qstats.overlimits++; }
static inline void qdisc_qstats_backlog_inc(struct Qdisc *sch, const struct sk_buff *skb) { sch->qstats.backlog += qdisc_pkt_len(skb); }
static inline void qdisc_qstats_backlog_dec(struct Qdisc *sch, const struct sk_buff *skb) { sch->qstats.backlog -= qdisc_pkt_len(skb); }
static inline void qdisc_bstats_update(struct Qdisc *sch, const struct sk_buff *skb) {}
static inline void qdisc_tree_reduce_backlog(struct Qdisc *sch, int packets, int bytes) {}
static inline void __qdisc_drop(struct sk_buff *skb, struct sk_buff **to_free)
{
	skb->next = *to_free;
	*to_free = skb;
}
static inline int qdisc_drop(struct sk_buff *skb, struct Qdisc *sch, struct sk_buff **to_free)
{
	__qdisc_drop(skb, to_free);
	qdisc_qstats_drop(sch);
	return NET_XMIT_DROP;
}
static inline int qdisc_enqueue(struct sk_buff *skb, struct Qdisc *sch, struct sk_buff **to_free)
{
	return sch->enqueue(skb, sch, to_free);
}
static inline struct sk_buff *qdisc_peek_dequeued(struct Qdisc *sch) { return NULL; }
/* The inner discipline of tbf is a FIFO, which is asked for its first packet. */
static inline struct sk_buff *qdisc_dequeue_peeked(struct Qdisc *sch) { return sch->dequeue(sch); }
static inline struct sk_buff *qdisc_dequeue_internal(struct Qdisc *sch, bool direct) { return sch->dequeue(sch); }
static inline void qdisc_reset(struct Qdisc *sch) {}
static inline void qdisc_put(struct Qdisc *sch) {}
static inline void qdisc_purge_queue(struct Qdisc *sch) {}
static inline void qdisc_tree_flush_backlog(struct Qdisc *sch) {}
static inline void qdisc_hash_add(struct Qdisc *sch, bool invisible) {}
static inline struct Qdisc *qdisc_replace(struct Qdisc *sch, struct Qdisc *new, struct Qdisc **old) { return NULL; }
static inline int register_qdisc(struct Qdisc_ops *ops) { return 0; }
static inline void unregister_qdisc(struct Qdisc_ops *ops) {}
static inline void sch_tree_lock(struct Qdisc *sch) {}
static inline void sch_tree_unlock(struct Qdisc *sch) {}
static inline bool tc_qdisc_stats_dump(struct Qdisc *sch, unsigned long cl, struct qdisc_walker *arg) { return true; }
extern struct Qdisc_ops bfifo_qdisc_ops, pfifo_qdisc_ops, noop_qdisc_ops;
extern struct Qdisc noop_qdisc;
struct Qdisc *fifo_create_dflt(struct Qdisc *sch, struct Qdisc_ops *ops, unsigned limit, struct netlink_ext_ack *extack);
static inline int fifo_set_limit(struct Qdisc *q, unsigned limit) { return 0; }

/* Offloads and filters: none. */
enum tc_setup_type { TC_SETUP_QDISC_TBF };
enum { TC_TBF_REPLACE, TC_TBF_DESTROY, TC_TBF_STATS, TC_TBF_GRAFT };
struct psched_ratecfg {
	u64 rate_bytes_ps;
	u32 mult;
	u16 overhead, mpu;
	u8 linklayer, shift;
};
struct tc_tbf_qopt_offload_replace_params {
	struct psched_ratecfg rate;
	u32 max_size;
	struct gnet_stats_queue *qstats;
};
struct tc_qopt_offload_stats {
	void *bstats, *qstats;
};
struct tc_tbf_qopt_offload {
	int command;
	u32 handle, parent;
	union {
		struct tc_tbf_qopt_offload_replace_params replace_params;
		struct tc_qopt_offload_stats stats;
		u32 child_handle;
	};
};
static inline bool tc_can_offload(const struct net_device *dev) { return false; }
static inline int qdisc_offload_dump_helper(struct Qdisc *sch, int type, void *data) { return 0; }
static inline void qdisc_offload_graft_helper(struct net_device *dev, struct Qdisc *sch, struct Qdisc *new, struct Qdisc *old, int type,
					      void *data, struct netlink_ext_ack *extack)
{
}
#define TC_ACT_STOLEN 4
#define TC_ACT_QUEUED 5
#define TC_ACT_TRAP 8
#define TC_ACT_SHOT 2
#define rcu_dereference_bh(pointer) (pointer)
static inline int tcf_classify_qdisc(struct sk_buff *skb, struct tcf_proto *filter, struct tcf_result *result, bool compat) { return -1; }
static inline int tcf_classify(struct sk_buff *skb, const struct tcf_block *block, struct tcf_proto *filter, struct tcf_result *result,
			       bool compat)
{
	return -1;
}
static inline int tcf_block_get(struct tcf_block **block, struct tcf_proto **filter, struct Qdisc *sch, struct netlink_ext_ack *extack)
{
	return 0;
}
static inline void tcf_block_put(struct tcf_block *block) {}

/* Attributes: an array that the program fills in takes the place of the message. */
struct nla_policy {
	int type, len;
	u32 min, max;
};
#define NLA_U8 1
#define NLA_U32 3
#define NLA_U64 4
#define NLA_BINARY 11
#define NLA_POLICY_MASK(kind, mask) {.type = (kind)}
static inline int nla_parse_nested_deprecated(struct nlattr **tb, int last, struct nlattr *attributes, const struct nla_policy *policy,
					      struct netlink_ext_ack *extack)
{
	for (int i = 0; i <= last; ++i)
		tb[i] = attributes[i].present ? &attributes[i] : NULL;
	return 0;
}
static inline const void *nla_data_of(const struct nlattr *nla) { return nla->data; }
#define nla_data(nla) ((void *)nla_data_of(nla))
static inline u8 nla_get_u8(const struct nlattr *nla) { return (u8)nla->value; }
static inline u32 nla_get_u32(const struct nlattr *nla) { return (u32)nla->value; }
static inline u64 nla_get_u64(const struct nlattr *nla) { return nla->value; }
static inline struct nlattr *nla_nest_start_noflag(struct sk_buff *skb, int type) { return NULL; }
static inline int nla_nest_end(struct sk_buff *skb, struct nlattr *nest) { return 0; }
static inline void nla_nest_cancel(struct sk_buff *skb, struct nlattr *nest) {}
static inline int nla_put(struct sk_buff *skb, int type, int length, const void *data) { return 0; }
static inline int nla_put_u8(struct sk_buff *skb, int type, u8 value) { return 0; }
static inline int nla_put_u32(struct sk_buff *skb, int type, u32 value) { return 0; }
static inline int nla_put_u64_64bit(struct sk_buff *skb, int type, u64 value, int padding) { return 0; }
#define NL_SET_ERR_MSG(extack, text) ((void)(extack))
#define NL_SET_ERR_MSG_MOD(extack, text) ((void)(extack))
static inline int gnet_stats_copy_app(struct gnet_dump *d, void *data, int length) { return 0; }
static inline int gnet_stats_copy_queue(struct gnet_dump *d, void *cpu, struct gnet_stats_queue *queue, u32 length) { return 0; }

/* Rates. The functions that compute them are the kernel's, too; the test takes them out of its files. */
struct qdisc_rate_table;
static inline struct qdisc_rate_table *qdisc_get_rtab(struct tc_ratespec *rate, struct nlattr *table, struct netlink_ext_ack *extack)
{
	return NULL;
}
static inline void qdisc_put_rtab(struct qdisc_rate_table *table) {}
#define TC_LINKLAYER_MASK 0x0F
#define PSCHED_SHIFT 6
#define PSCHED_TICKS2NS(ticks) ((s64)(ticks) << PSCHED_SHIFT)
#define PSCHED_NS2TICKS(time) ((time) >> PSCHED_SHIFT)
static inline void psched_ratecfg_getrate(struct tc_ratespec *result, const struct psched_ratecfg *rate) {}
struct qdisc_watchdog {
	u64 expires;
};
static inline void qdisc_watchdog_init(struct qdisc_watchdog *watchdog, struct Qdisc *sch) {}
static inline void qdisc_watchdog_cancel(struct qdisc_watchdog *watchdog) {}
static inline void qdisc_watchdog_schedule_ns(struct qdisc_watchdog *watchdog, u64 expires) { watchdog->expires = expires; }

#endif
