// SPDX-License-Identifier: BSD-3-Clause
// Starts a port of DPDK's virtio driver without its probing, which needs a PCI device: as virtio-user does, with
// operations of a device of its own. Compiled once for each build of the driver, as DPDK_VIRTIO.
#include "dpdk_virtio.h"

#include <dev_driver.h>
#include <ethdev_driver.h>
#include <rte_ethdev.h>
#include <rte_io.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>

#include "virtio.h"
#include "virtio_ethdev.h"
#include "virtio_rxtx_simple.h"
#include "virtqueue.h"

struct Started {
  struct virtio_hw hw;  // first: it is the port's private data
  struct DpdkVirtioPort port;
  struct rte_device device;
  uint64_t features;
  uint16_t ring;
  uint8_t status;
  uint16_t doorbells[2];
};

static struct Started* started_of(struct virtio_hw* hw) { return (struct Started*)hw; }

static void read_config(struct virtio_hw* hw, size_t offset, void* to, int length) {
  (void)hw;
  const struct virtio_net_config config = {.mac = {2, 0, 0, 0, 0, 1}};
  memcpy(to, (const char*)&config + offset, (size_t)length);
}
static void write_config(struct virtio_hw* hw, size_t offset, const void* from, int length) {
  (void)hw, (void)offset, (void)from, (void)length;
}
static uint8_t get_status(struct virtio_hw* hw) { return started_of(hw)->status; }
static void set_status(struct virtio_hw* hw, uint8_t status) { started_of(hw)->status = status; }
static uint64_t get_features(struct virtio_hw* hw) { return started_of(hw)->features; }
static void set_features(struct virtio_hw* hw, uint64_t features) { (void)hw, (void)features; }
static int features_ok(struct virtio_hw* hw) { return (void)hw, 0; }
static uint8_t get_isr(struct virtio_hw* hw) { return (void)hw, 0; }
static uint16_t get_queue_size(struct virtio_hw* hw, uint16_t queue) { return (void)queue, started_of(hw)->ring; }

static int setup_queue(struct virtio_hw* hw, struct virtqueue* queue) {
  struct Started* started = started_of(hw);
  if (queue->vq_queue_index > VTNET_SQ_TQ_QUEUE_IDX) return -1;
  struct DpdkVirtqueue* areas =
      queue->vq_queue_index == VTNET_SQ_RQ_QUEUE_IDX ? &started->port.receive : &started->port.transmit;
  if (virtio_with_packed_queue(hw)) {
    const struct vring_packed* ring = &queue->vq_packed.ring;
    *areas = (struct DpdkVirtqueue){ring->desc, ring->driver, ring->device};
  } else {
    const struct vring* ring = &queue->vq_split.ring;
    *areas = (struct DpdkVirtqueue){ring->desc, ring->avail, ring->used};
  }
  queue->notify_addr = &started->doorbells[queue->vq_queue_index];
  return 0;
}
static void delete_queue(struct virtio_hw* hw, struct virtqueue* queue) { (void)hw, (void)queue; }
// As for a device on PCI.
static void notify_queue(struct virtio_hw* hw, struct virtqueue* queue) {
  (void)hw;
  rte_write16(queue->vq_queue_index, queue->notify_addr);
}
static int close_device(struct virtio_hw* hw) { return (void)hw, 0; }

static const struct virtio_ops kOperations = {.read_dev_cfg = read_config,
                                              .write_dev_cfg = write_config,
                                              .get_status = get_status,
                                              .set_status = set_status,
                                              .get_features = get_features,
                                              .set_features = set_features,
                                              .features_ok = features_ok,
                                              .get_isr = get_isr,
                                              .get_queue_num = get_queue_size,
                                              .setup_queue = setup_queue,
                                              .del_queue = delete_queue,
                                              .notify_queue = notify_queue,
                                              .dev_close = close_device};

static uint64_t features_of(const struct DpdkVirtioOffer* offer) {
  uint64_t features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
  if (offer->packed) features |= 1ULL << VIRTIO_F_RING_PACKED;
  if (offer->mergeable) features |= 1ULL << VIRTIO_NET_F_MRG_RXBUF;
  if (offer->in_order) features |= 1ULL << VIRTIO_F_IN_ORDER;
  return features;
}

static void stop(struct DpdkVirtioPort* port) {
  struct Started* started = (struct Started*)((char*)port - offsetof(struct Started, port));
  const uint16_t number = started->hw.port_id;
  rte_eth_dev_stop(number);
  rte_eth_dev_close(number);  // frees `started`
}

static struct DpdkVirtioPort* start(const struct DpdkVirtioOffer* offer, struct rte_mempool* pool, uint16_t ring) {
  static unsigned count = 0;
  char name[RTE_ETH_NAME_MAX_LEN];
  snprintf(name, sizeof name, "faked%u", count++);
  struct rte_eth_dev* device = rte_eth_dev_allocate(name);
  struct Started* started = rte_zmalloc(name, sizeof *started, RTE_CACHE_LINE_SIZE);
  if (device == NULL || started == NULL) return NULL;
  const uint16_t number = device->data->port_id;
  started->features = features_of(offer);
  started->ring = ring;
  static const struct rte_driver driver = {.name = "net_virtio_faked"};
  started->device.driver = &driver;
  started->device.numa_node = SOCKET_ID_ANY;
  device->device = &started->device;
  device->data->dev_private = started;
  started->hw.port_id = number;
  started->hw.use_va = true;
  virtio_hw_internal[number].virtio_ops = &kOperations;
  if (eth_virtio_dev_init(device) != 0) return NULL;
  // As virtio_user_pmd_probe; the driver takes them back if what was negotiated does not suit them.
  started->hw.use_vec_rx = offer->vectorized;
  started->hw.use_vec_tx = offer->vectorized && offer->packed;
  rte_eth_dev_probing_finish(device);
  const struct rte_eth_conf configuration = {.rxmode = {.mtu = RTE_ETHER_MTU}};
  if (rte_eth_dev_configure(number, 1, 1, &configuration) != 0 ||
      rte_eth_rx_queue_setup(number, 0, ring, SOCKET_ID_ANY, NULL, pool) != 0 ||
      rte_eth_tx_queue_setup(number, 0, ring, SOCKET_ID_ANY, NULL) != 0 || rte_eth_dev_start(number) != 0)
    return NULL;
  struct DpdkVirtioPort* port = &started->port;
  port->rx = device->data->rx_queues[0];
  port->tx = device->data->tx_queues[0];
  port->rx_burst = device->rx_pkt_burst;
  port->tx_burst = device->tx_pkt_burst;
  port->vectorized = started->hw.use_vec_rx != 0 || started->hw.use_vec_tx != 0;
  return port;
}

const struct DpdkVirtio DPDK_VIRTIO = {start, stop};
