// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

#ifdef __cplusplus
extern "C" {
#endif

enum { DPDK_MAX_QUEUES = 16 };

/// A port of DPDK's igb or em driver with as many transmit as receive queues, started by the driver's own functions.
struct DpdkPort {
  void* rx[DPDK_MAX_QUEUES];
  void* tx[DPDK_MAX_QUEUES];
};

/// One build of DPDK's driver of the 82576, igb, or of the 82574, em.
struct DpdkDriver {
  /// Starts a port on the registers at `bar`, which are ordinary memory. `number` identifies the port: no two have the
  /// same at the same time. Returns NULL without memory.
  struct DpdkPort* (*start)(void* bar, struct rte_mempool* pool, uint16_t ring, uint16_t queues, uint16_t number);
  /// Frees the port, and the mbufs in its rings.
  void (*stop)(struct DpdkPort* port);
  uint16_t (*rx_burst)(void* queue, struct rte_mbuf** mbufs, uint16_t count);
  uint16_t (*tx_burst)(void* queue, struct rte_mbuf** mbufs, uint16_t count);
  int is_82574;
};

/// As Debian's static library has it.
extern const struct DpdkDriver dpdk_igb_packaged;
extern const struct DpdkDriver dpdk_em_packaged;
/// The same source, compiled for this processor.
extern const struct DpdkDriver dpdk_igb_native;
extern const struct DpdkDriver dpdk_em_native;

#ifdef __cplusplus
}
#endif
