// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

#ifdef __cplusplus
extern "C" {
#endif

/// A port of DPDK's vmxnet3 driver with one receive and one transmit queue. The addresses are this process's.
struct DpdkVmxnet3Port {
  void* rx;
  void* tx;
  void* receive;      ///< descriptors of the first ring
  void* received;     ///< completions, two for each of these descriptors
  void* transmit;     ///< descriptors
  void* transmitted;  ///< completions
};

/// One build of DPDK's vmxnet3 driver.
struct DpdkVmxnet3 {
  /// Starts a port on a device of revision 1 with rings of `ring` descriptors. Returns NULL if something fails.
  struct DpdkVmxnet3Port* (*start)(struct rte_mempool* pool, uint16_t ring, uint16_t number);
  /// Frees the port, and the mbufs in its rings.
  void (*stop)(struct DpdkVmxnet3Port* port);
  uint16_t (*rx_burst)(void* queue, struct rte_mbuf** mbufs, uint16_t count);
  uint16_t (*tx_burst)(void* queue, struct rte_mbuf** mbufs, uint16_t count);
};

/// As Debian's static library has it.
extern const struct DpdkVmxnet3 dpdk_vmxnet3_packaged;
/// The same source, compiled for this processor.
extern const struct DpdkVmxnet3 dpdk_vmxnet3_native;

#ifdef __cplusplus
}
#endif
