/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"
#include "lib/dynamic_queue_limits.c"

int main(void)
{
	static struct dql dql;
	unsigned low, high, hold, bytes;
	char what;

	if (scanf("%u %u %u", &low, &high, &hold) != 3)
		return 2;
	dql_init(&dql, hold);
	dql.min_limit = low;
	dql.max_limit = high;
	/* The limit starts at the minimum, as in the kernel, where the minimum is 0 then. */
	dql.limit = low;
	dql.adj_limit = low;
	while (scanf(" %c %lu %u", &what, &jiffies, &bytes) == 3) {
		if (what == 'Q')
			dql_queued(&dql, bytes);
		else
			dql_completed(&dql, bytes);
		printf("%c limit %u available %d\n", what, dql.limit, dql_avail(&dql));
	}
	return 0;
}
