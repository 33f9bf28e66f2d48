// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "workload.hpp"

namespace pollux::bench {

std::unique_ptr<Workload> forward(const Setup& setup);
std::unique_ptr<Workload> forward_offload(const Setup& setup);
std::unique_ptr<Workload> forward_checksums(const Setup& setup);
std::unique_ptr<Workload> forward_vlan(const Setup& setup);
std::unique_ptr<Workload> transmit_segments(const Setup& setup);
std::unique_ptr<Workload> forward_c(const Setup& setup);
std::unique_ptr<Workload> forward_shared(const Setup& setup);
std::unique_ptr<Workload> forward_poller(const Setup& setup);
std::unique_ptr<Workload> forward_poller_one(const Setup& setup);
std::unique_ptr<Workload> forward_run_loop(const Setup& setup);
std::unique_ptr<Workload> forward_task(const Setup& setup);
std::unique_ptr<Workload> forward_queues(const Setup& setup);
std::unique_ptr<Workload> forward_arrivals(const Setup& setup);
std::unique_ptr<Workload> forward_observed(const Setup& setup);
std::unique_ptr<Workload> forward_captured(const Setup& setup);
std::unique_ptr<Workload> forward_unmatched(const Setup& setup);
std::unique_ptr<Workload> forward_raw(const Setup& setup);
std::unique_ptr<Workload> fused(const Setup& setup);
std::unique_ptr<Workload> ring_port(const Setup& setup);
std::unique_ptr<Workload> steering_hop(const Setup& setup);
std::unique_ptr<Workload> receive(const Setup& setup);
std::unique_ptr<Workload> receive_split(const Setup& setup);
std::unique_ptr<Workload> transmit(const Setup& setup);
std::unique_ptr<Workload> empty_poll(const Setup& setup);
std::unique_ptr<Workload> gro_merge(const Setup& setup);
std::unique_ptr<Workload> gro_merge_checksums(const Setup& setup);
std::unique_ptr<Workload> alloc_free(const Setup& setup);
std::unique_ptr<Workload> append(const Setup& setup);
std::unique_ptr<Workload> fill(const Setup& setup);
std::unique_ptr<Workload> queue_fifo(const Setup& setup);
std::unique_ptr<Workload> queue_priority(const Setup& setup);
std::unique_ptr<Workload> queue_drr(const Setup& setup);
std::unique_ptr<Workload> queue_token_bucket(const Setup& setup);
std::unique_ptr<Workload> queue_fq_codel(const Setup& setup);
std::unique_ptr<Workload> queue_fq_codel_classified(const Setup& setup);

std::unique_ptr<Workload> minimal_forward(const Setup& setup);
std::unique_ptr<Workload> minimal_forward_checksums(const Setup& setup);
std::unique_ptr<Workload> minimal_forward_offload(const Setup& setup);
std::unique_ptr<Workload> minimal_fused(const Setup& setup);
std::unique_ptr<Workload> minimal_receive(const Setup& setup);
std::unique_ptr<Workload> minimal_transmit(const Setup& setup);
std::unique_ptr<Workload> minimal_split_forward(const Setup& setup);
std::unique_ptr<Workload> minimal_split_receive(const Setup& setup);
std::unique_ptr<Workload> minimal_split_transmit(const Setup& setup);
std::unique_ptr<Workload> minimal_packed_forward(const Setup& setup);
std::unique_ptr<Workload> minimal_packed_receive(const Setup& setup);
std::unique_ptr<Workload> minimal_packed_transmit(const Setup& setup);
std::unique_ptr<Workload> minimal_vmxnet3_forward(const Setup& setup);
std::unique_ptr<Workload> minimal_vmxnet3_receive(const Setup& setup);
std::unique_ptr<Workload> minimal_vmxnet3_transmit(const Setup& setup);
std::unique_ptr<Workload> minimal_empty_poll(const Setup& setup);
std::unique_ptr<Workload> e1000e_forward(const Setup& setup);
std::unique_ptr<Workload> e1000e_forward_checksums(const Setup& setup);
std::unique_ptr<Workload> e1000e_receive(const Setup& setup);
std::unique_ptr<Workload> e1000e_transmit(const Setup& setup);
std::unique_ptr<Workload> vmxnet3_forward(const Setup& setup);
std::unique_ptr<Workload> vmxnet3_receive(const Setup& setup);
std::unique_ptr<Workload> vmxnet3_transmit(const Setup& setup);
std::unique_ptr<Workload> virtio_split_arrivals(const Setup& setup);
std::unique_ptr<Workload> virtio_packed_arrivals(const Setup& setup);
std::unique_ptr<Workload> virtio_split_forward(const Setup& setup);
std::unique_ptr<Workload> virtio_split_forward_mergeable(const Setup& setup);
std::unique_ptr<Workload> virtio_packed_forward(const Setup& setup);
std::unique_ptr<Workload> virtio_packed_forward_mergeable(const Setup& setup);
std::unique_ptr<Workload> virtio_split_receive(const Setup& setup);
std::unique_ptr<Workload> virtio_split_receive_mergeable(const Setup& setup);
std::unique_ptr<Workload> virtio_split_transmit(const Setup& setup);
std::unique_ptr<Workload> virtio_packed_receive(const Setup& setup);
std::unique_ptr<Workload> virtio_packed_receive_mergeable(const Setup& setup);
std::unique_ptr<Workload> virtio_packed_transmit(const Setup& setup);
std::unique_ptr<Workload> xdp_receive(const Setup& setup);
std::unique_ptr<Workload> xdp_transmit(const Setup& setup);
std::unique_ptr<Workload> xdp_forward(const Setup& setup);

}  // namespace pollux::bench
