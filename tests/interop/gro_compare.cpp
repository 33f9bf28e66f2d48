// SPDX-License-Identifier: BSD-3-Clause
// Compares GRO with the running kernel's: "gro_compare FIRST COUNT [udp|vxlan|vlan]" makes COUNT sequences of frames,
// with the seeds FIRST and following, gives each to both as one batch, and compares what comes out byte for byte, in
// order.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "gro_sequences.hpp"
#include "kernel_gro.hpp"
#include "net/superframe.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/transport.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/runtime/gro.hpp"

namespace {

using namespace pollux;
using test::MergedFrame;
using test::SequenceKind;

/// A kernel's batch may end early: see KernelGro::merge. A difference counts if it comes each time. On a busy machine
/// more than half of the batches in a guest end early.
constexpr int kAttempts = 100;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

/// What a TAP port hands to the kernel for a merged frame.
void make_superframe(MergedFrame& frame, const TxOffload& request) {
  const std::span headers(frame.bytes.data(), request.l4_offset() + std::size_t{request.l4});
  const VirtioNetHeader header = superframe_header(headers, request, static_cast<std::uint32_t>(frame.bytes.size()));
  frame.segment_size = header.segment_size;
  frame.segmentation = header.segmentation;
}

/// The kernel's partial checksum of a tunnel includes the length.
void complete_tunnel_sum(MergedFrame& frame, const TxOffload& request) {
  std::uint8_t* const udp = &frame.bytes[std::size_t{request.outer_l2} + request.outer_l3];
  if (packet::load16(udp + packet::UdpHeader::kChecksumAt) == 0) return;
  packet::InternetSum sum;
  sum.add(std::uint32_t{packet::load16(udp + packet::UdpHeader::kChecksumAt)});
  sum.add(std::uint32_t{packet::load16(udp + 4)});
  packet::store16(udp + packet::UdpHeader::kChecksumAt, sum.folded());
}

class PolluxGro {
 public:
  explicit PolluxGro(const GroOptions& options) : gro_(options) {}
  std::vector<MergedFrame> merge(const std::vector<test::SequenceFrame>& frames, bool with_metadata) {
    Burst<64> burst;
    for (const auto& frame : frames) {
      MbufPtr mbuf = cache_.allocate();
      std::copy(frame.bytes.begin(), frame.bytes.end(), mbuf->append(static_cast<std::uint32_t>(frame.bytes.size())));
      if (with_metadata && frame.has_good_checksums) {
        SoftwareRxMetadata{.ip_checksum = ChecksumStatus::good, .l4_checksum = ChecksumStatus::good}.attach_to(*mbuf);
      }
      if (!burst.push(mbuf)) throw std::runtime_error("more than 64 frames");
    }
    gro_.merge(burst);
    std::vector<MergedFrame> merged;
    for (const Mbuf& frame : burst) merged.push_back(result(frame));
    burst.drop(compared_, cache_);
    return merged;
  }
  [[nodiscard]] GroStats stats() const { return gro_.stats(); }

 private:
  static MergedFrame result(const Mbuf& frame) {
    MergedFrame merged{.bytes = test::FrameBytes(frame.packet_length())};
    if (frame.copy_out(0, merged.bytes) != merged.bytes.size()) throw std::runtime_error("a chain is broken");
    if (frame.tx_offload().flags != 0) make_superframe(merged, frame.tx_offload());
    if (frame.tx_offload().outer_l3 != 0) complete_tunnel_sum(merged, frame.tx_offload());
    return merged;
  }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = must(Mempool::create(context_, {.count = 512}));
  MempoolCache cache_{pool_};
  DropCounter compared_{"compared"};
  Gro gro_;
};

std::string described(const MergedFrame& frame) {
  std::string text = fmt::format("{} bytes, segments of {}:", frame.bytes.size(), frame.segment_size);
  for (std::size_t i = 0; i < frame.bytes.size() && i < 150; ++i) text += fmt::format(" {:02x}", frame.bytes[i]);
  return text;
}

void print_difference(const std::vector<MergedFrame>& ours, const std::vector<MergedFrame>& kernels) {
  std::size_t at = 0;
  while (at < ours.size() && at < kernels.size() && ours[at] == kernels[at]) ++at;
  fmt::print("frame {} of {} (Pollux) or {} (the kernel)\n", at, ours.size(), kernels.size());
  if (at < ours.size()) fmt::print("Pollux: {}\n", described(ours[at]));
  if (at < kernels.size()) fmt::print("kernel: {}\n", described(kernels[at]));
}

bool same(test::KernelGro& kernel, PolluxGro& pollux, std::uint64_t seed, SequenceKind kind, std::uint64_t& repeated) {
  const auto frames = test::fuzzed_sequence(seed, kind);
  std::vector<test::FrameBytes> bytes;
  for (const auto& frame : frames) bytes.push_back(frame.bytes);
  const auto ours = pollux.merge(frames, seed % 2 == 0);
  std::vector<MergedFrame> kernels;
  for (int attempt = 0; attempt < kAttempts; ++attempt, ++repeated) {
    kernels = kernel.merge(bytes);
    if (ours == kernels) return true;
  }
  fmt::print("sequence {} differs: ", seed);
  print_difference(ours, kernels);
  return false;
}

GroOptions options_of(SequenceKind kind) {
  switch (kind) {
    case SequenceKind::tcp:
    case SequenceKind::vlan: return {};
    case SequenceKind::udp_and_tcp: return {.udp = true};
    case SequenceKind::vxlan: break;
  }
  return {.vxlan_port = GroOptions::kVxlanPort};
}

int run(std::uint64_t first, std::uint64_t count, SequenceKind kind) {
  test::KernelGro kernel(kind);
  PolluxGro pollux(options_of(kind));
  std::uint64_t repeated = 0;
  std::uint64_t different = 0;
  std::uint64_t compared = 0;
  while (compared < count && different < 10) {
    if (!same(kernel, pollux, first + compared++, kind, repeated)) ++different;
  }
  const GroStats stats = pollux.stats();
  fmt::print("{} sequences, {} different, {} repeated; {} frames, {} merged; batches by {}\n", compared, different,
             repeated, stats.received, stats.merged, kernel.is_batch_by_sleep() ? "sleep" : "time");
  return different == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view kind = argc == 4 ? argv[3] : "";
  const bool is_known = argc == 3 || kind == "udp" || kind == "vxlan" || kind == "vlan";
  if (!is_known || argc < 3) {
    fmt::print(stderr, "usage: gro_compare FIRST COUNT [udp|vxlan|vlan]\n");
    return 2;
  }
  return run(std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10),
             kind == "udp"     ? SequenceKind::udp_and_tcp
             : kind == "vxlan" ? SequenceKind::vxlan
             : kind == "vlan"  ? SequenceKind::vlan
                               : SequenceKind::tcp);
} catch (const std::exception& error) {
  fmt::print(stderr, "gro_compare: {}\n", error.what());
  return 3;
}
