// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

#ifdef __cplusplus
extern "C" {
#endif

/// What the device offers, and what the port is asked to do with it.
struct DpdkVirtioOffer {
  bool packed;
  bool mergeable;
  bool in_order;
  bool vectorized;  ///< the driver's option of this name
};

/// The three areas of a virtqueue, which are this process's addresses.
struct DpdkVirtqueue {
  void* descriptors;
  void* driver;
  void* device;
};

/// A port of DPDK's virtio driver with one receive and one transmit queue, started by the driver's own functions.
struct DpdkVirtioPort {
  void* rx;
  void* tx;
  struct DpdkVirtqueue receive;
  struct DpdkVirtqueue transmit;
  /// What the driver has chosen for what was negotiated.
  uint16_t (*rx_burst)(void* queue, struct rte_mbuf** mbufs, uint16_t count);
  uint16_t (*tx_burst)(void* queue, struct rte_mbuf** mbufs, uint16_t count);
  bool vectorized;  ///< a vectorized path is one of these
};

/// One build of DPDK's virtio driver.
struct DpdkVirtio {
  /// Starts a port on a device with rings of `ring` descriptors. Returns NULL if something fails.
  struct DpdkVirtioPort* (*start)(const struct DpdkVirtioOffer* offer, struct rte_mempool* pool, uint16_t ring);
  /// Frees the port, and the mbufs in its rings.
  void (*stop)(struct DpdkVirtioPort* port);
};

/// As Debian's static library has it.
extern const struct DpdkVirtio dpdk_virtio_packaged;
/// The same source, compiled for this processor.
extern const struct DpdkVirtio dpdk_virtio_native;

#ifdef __cplusplus
}
#endif
