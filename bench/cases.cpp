// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>

#include "fixture.hpp"
#include "workloads.hpp"

namespace pollux::bench {

std::span<const Case> cases() {
  static constexpr std::array kCases = {
      Case{"forward", kPollux, &forward},
      Case{"forward_offload", kPollux, &forward_offload},
      Case{"forward_checksums", kPollux, &forward_checksums},
      Case{"forward_vlan", kPollux, &forward_vlan},
      Case{"forward_c", kPollux, &forward_c, true, false},
      Case{"forward_shared", kPollux, &forward_shared, true, false},
      Case{"forward_poller", kPollux, &forward_poller, true, false},
      Case{"forward_poller_one", kPollux, &forward_poller_one, true, false},
      Case{"forward_run_loop", kPollux, &forward_run_loop, true, false},
      Case{"forward_task", kPollux, &forward_task, true, false},
      Case{"forward_queues", kPollux, &forward_queues},
      Case{"forward_arrivals", kPollux, &forward_arrivals},
      Case{"forward_observed", kPollux, &forward_observed},
      Case{"forward_captured", kPollux, &forward_captured, true, false},
      Case{"forward_unmatched", kPollux, &forward_unmatched},
      Case{"forward_raw", kPollux, &forward_raw},
      Case{"fused", kPollux, &fused},
      Case{"ring_port", kPollux, &ring_port, false, false},
      Case{"steering_hop", kPollux, &steering_hop, false, false},
      Case{"rx", kPollux, &receive},
      Case{"rx_split", kPollux, &receive_split, true, false},
      Case{"tx", kPollux, &transmit},
      Case{"tx_segments", kPollux, &transmit_segments, true, false},
      Case{"empty_poll", kPollux, &empty_poll, false, false},
      Case{"gro_merge", kPollux, &gro_merge, false, false},
      Case{"gro_merge_checksums", kPollux, &gro_merge_checksums, false, false},
      Case{"alloc_free", kPollux, &alloc_free, false, false},
      Case{"append", kPollux, &append, false, false},
      Case{"fill", kPollux, &fill, false, false},
      Case{"queue_fifo", kPollux, &queue_fifo, true, false},
      Case{"queue_priority", kPollux, &queue_priority, true, false},
      Case{"queue_drr", kPollux, &queue_drr, true, false},
      Case{"queue_token_bucket", kPollux, &queue_token_bucket, true, false},
      Case{"queue_fq_codel", kPollux, &queue_fq_codel, true, false},
      Case{"queue_fq_codel_classified", kPollux, &queue_fq_codel_classified, true, false},
      Case{"e1000e_forward", kPollux, &e1000e_forward},
      Case{"e1000e_forward_checksums", kPollux, &e1000e_forward_checksums},
      Case{"e1000e_rx", kPollux, &e1000e_receive},
      Case{"e1000e_tx", kPollux, &e1000e_transmit},
      Case{"vmxnet3_forward", kPollux, &vmxnet3_forward, true, false},
      Case{"vmxnet3_rx", kPollux, &vmxnet3_receive, true, false},
      Case{"vmxnet3_tx", kPollux, &vmxnet3_transmit, true, false},
      Case{"virtio_split_forward", kPollux, &virtio_split_forward, true, false},
      Case{"virtio_split_forward_mergeable", kPollux, &virtio_split_forward_mergeable, true, false},
      Case{"virtio_split_rx", kPollux, &virtio_split_receive, true, false},
      Case{"virtio_split_rx_mergeable", kPollux, &virtio_split_receive_mergeable, true, false},
      Case{"virtio_split_tx", kPollux, &virtio_split_transmit, true, false},
      Case{"virtio_split_arrivals", kPollux, &virtio_split_arrivals, true, false},
      Case{"virtio_packed_arrivals", kPollux, &virtio_packed_arrivals, true, false},
      Case{"virtio_packed_forward", kPollux, &virtio_packed_forward, true, false},
      Case{"virtio_packed_forward_mergeable", kPollux, &virtio_packed_forward_mergeable, true, false},
      Case{"virtio_packed_rx", kPollux, &virtio_packed_receive, true, false},
      Case{"virtio_packed_rx_mergeable", kPollux, &virtio_packed_receive_mergeable, true, false},
      Case{"virtio_packed_tx", kPollux, &virtio_packed_transmit, true, false},
      Case{"xdp_rx", kPollux, &xdp_receive, false, false},
      Case{"xdp_tx", kPollux, &xdp_transmit, false, false},
      Case{"xdp_forward", kPollux, &xdp_forward, false, false},
      Case{"forward", kMinimalLoop, &minimal_forward, true, false},
      Case{"forward_checksums", kMinimalLoop, &minimal_forward_checksums, true, false},
      Case{"forward_offload", kMinimalLoop, &minimal_forward_offload, true, false},
      Case{"fused", kMinimalLoop, &minimal_fused, true, false},
      Case{"rx", kMinimalLoop, &minimal_receive, true, false},
      Case{"tx", kMinimalLoop, &minimal_transmit, true, false},
      Case{"virtio_split_forward", kMinimalLoop, &minimal_split_forward, true, false},
      Case{"virtio_split_rx", kMinimalLoop, &minimal_split_receive, true, false},
      Case{"virtio_split_tx", kMinimalLoop, &minimal_split_transmit, true, false},
      Case{"virtio_packed_forward", kMinimalLoop, &minimal_packed_forward, true, false},
      Case{"virtio_packed_rx", kMinimalLoop, &minimal_packed_receive, true, false},
      Case{"virtio_packed_tx", kMinimalLoop, &minimal_packed_transmit, true, false},
      Case{"vmxnet3_forward", kMinimalLoop, &minimal_vmxnet3_forward, true, false},
      Case{"vmxnet3_rx", kMinimalLoop, &minimal_vmxnet3_receive, true, false},
      Case{"vmxnet3_tx", kMinimalLoop, &minimal_vmxnet3_transmit, true, false},
      Case{"empty_poll", kMinimalLoop, &minimal_empty_poll, false, false},
  };
  return kCases;
}

const Case& find_case(std::string_view name, std::string_view who) {
  const auto found = std::ranges::find_if(cases(), [&](const Case& one) { return one.name == name && one.who == who; });
  if (found == cases().end()) give_up("no such case");
  return *found;
}

}  // namespace pollux::bench
