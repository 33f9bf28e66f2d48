// SPDX-License-Identifier: BSD-3-Clause
// Starts a port of DPDK's vmxnet3 driver without its probing, which needs a PCI device: only the functions that make
// the queues, and the one that fills them. Compiled once for each build of the driver, as DPDK_VMXNET3.
#include "dpdk_vmxnet3.h"

#include <ethdev_driver.h>
#include <rte_malloc.h>

#include "base/vmxnet3_defs.h"
#include "vmxnet3_ring.h"

#include "vmxnet3_ethdev.h"

struct Started {
  struct DpdkVmxnet3Port port;
  struct rte_eth_dev device;
  struct rte_eth_dev_data data;
  struct vmxnet3_hw hw;
  Vmxnet3_TxQueueDesc tx;
  Vmxnet3_RxQueueDesc rx;
  void* rx_queues[1];
  void* tx_queues[1];
  uint8_t registers[4096];
};

static void stop(struct DpdkVmxnet3Port* port) {
  struct Started* started = (struct Started*)port;
  if (started->rx_queues[0] != NULL && started->tx_queues[0] != NULL) vmxnet3_dev_clear_queues(&started->device);
  if (started->rx_queues[0] != NULL) vmxnet3_dev_rx_queue_release(&started->device, 0);
  if (started->tx_queues[0] != NULL) vmxnet3_dev_tx_queue_release(&started->device, 0);
  rte_free(started);
}

static struct DpdkVmxnet3Port* start(struct rte_mempool* pool, uint16_t ring, uint16_t number) {
  struct Started* started = rte_zmalloc(NULL, sizeof *started, RTE_CACHE_LINE_SIZE);  // its parts are aligned
  if (started == NULL) return NULL;
  struct rte_eth_dev_data* data = &started->data;
  data->port_id = number;
  data->mtu = RTE_ETHER_MTU;
  data->nb_rx_queues = data->nb_tx_queues = 1;
  data->rx_queues = started->rx_queues;
  data->tx_queues = started->tx_queues;
  data->dev_private = &started->hw;
  started->device.data = data;
  started->hw.hw_addr0 = started->registers;
  started->hw.num_rx_queues = started->hw.num_tx_queues = 1;
  started->hw.bufs_per_pkt = 1;
  // What eth_vmxnet3_dev_init chooses for this revision.
  started->hw.version = VMXNET3_REV_1 + 1;
  started->hw.txdata_desc_size = sizeof(struct Vmxnet3_TxDataDesc);
  struct rte_eth_dev* const device = &started->device;
  if (vmxnet3_dev_rx_queue_setup(device, 0, ring, SOCKET_ID_ANY, NULL, pool) != 0 ||
      vmxnet3_dev_tx_queue_setup(device, 0, ring, SOCKET_ID_ANY, NULL) != 0) {
    stop(&started->port);
    return NULL;
  }
  vmxnet3_rx_queue_t* const rx = started->rx_queues[0];
  vmxnet3_tx_queue_t* const tx = started->tx_queues[0];
  rx->shared = &started->rx;
  tx->shared = &started->tx;
  // As vmxnet3_setup_driver_shared: the device wants no doorbell before so many frames wait.
  started->tx.ctrl.txThreshold = 1;
  if (vmxnet3_dev_rxtx_init(device) != 0) {
    stop(&started->port);
    return NULL;
  }
  started->port = (struct DpdkVmxnet3Port){.rx = rx,
                                           .tx = tx,
                                           .receive = rx->cmd_ring[0].base,
                                           .received = rx->comp_ring.base,
                                           .transmit = tx->cmd_ring.base,
                                           .transmitted = tx->comp_ring.base};
  return &started->port;
}

const struct DpdkVmxnet3 DPDK_VMXNET3 = {start, stop, vmxnet3_recv_pkts, vmxnet3_xmit_pkts};
