// SPDX-License-Identifier: BSD-3-Clause
// Starts a port of DPDK's em driver, of the 82574, without its probing, which needs a PCI device: only the functions
// that make the queues, and the ones that write their registers. Compiled once for each build of the driver, as
// DPDK_EM.
#include "dpdk_igb.h"

#include <ethdev_driver.h>
#include <stdlib.h>

#include "base/e1000_api.h"
#include "e1000_ethdev.h"

struct Started {
  struct DpdkPort port;
  struct rte_eth_dev device;
  struct rte_eth_dev_data data;
  struct e1000_adapter adapter;
};

static void stop(struct DpdkPort* port) {
  struct Started* started = (struct Started*)port;
  for (uint16_t queue = 0; queue < started->data.nb_rx_queues; ++queue) {
    if (port->rx[queue] != NULL) eth_em_rx_queue_release(&started->device, queue);
    if (port->tx[queue] != NULL) eth_em_tx_queue_release(&started->device, queue);
  }
  free(started);
}

static struct DpdkPort* start(void* bar, struct rte_mempool* pool, uint16_t ring, uint16_t queues, uint16_t number) {
  struct Started* started = calloc(1, sizeof *started);
  if (started == NULL) return NULL;
  struct rte_eth_dev_data* data = &started->data;
  data->port_id = number;
  data->mtu = RTE_ETHER_MTU;
  data->nb_rx_queues = data->nb_tx_queues = queues;
  data->rx_queues = started->port.rx;
  data->tx_queues = started->port.tx;
  data->dev_private = &started->adapter;
  data->dev_conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM;
  data->dev_conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
  started->adapter.hw.hw_addr = bar;
  started->adapter.hw.mac.type = e1000_82574;
  started->device.data = data;
  // As testpmd leaves them: the driver has no defaults of its own but for tx_rs_thresh and tx_free_thresh.
  const struct rte_eth_rxconf rx = {.rx_free_thresh = 32};
  const struct rte_eth_txconf tx = {0};
  int failed = 0;
  for (uint16_t queue = 0; queue < queues; ++queue) {
    failed |= eth_em_rx_queue_setup(&started->device, queue, ring, 0, &rx, pool);
    failed |= eth_em_tx_queue_setup(&started->device, queue, ring, 0, &tx);
  }
  if (failed != 0 || eth_em_rx_init(&started->device) != 0) {
    stop(&started->port);
    return NULL;
  }
  eth_em_tx_init(&started->device);
  return &started->port;
}

const struct DpdkDriver DPDK_EM = {start, stop, eth_em_recv_pkts, eth_em_xmit_pkts, 1};
