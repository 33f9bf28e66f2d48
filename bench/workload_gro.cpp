// SPDX-License-Identifier: BSD-3-Clause
// GRO of consecutive TCP segments of one flow, whose checksums the card has found good or has not looked at.
#include "fixture.hpp"
#include "pollux/runtime/gro.hpp"
#include "tcp_segments.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

// The bits of the card's write-back that say that both checksums are checked. They are good, as no bit denies it.
constexpr std::uint64_t kBothChecked = 1U << 5 | 1U << 6;

class GroMerge final : public Workload {
 public:
  GroMerge(const Setup& setup, bool checked)
      : Workload(setup.burst, 1),
        context_(logging_options()),
        pool_(need(Mempool::create(context_, {}))),
        checked_(checked),
        segments_(checked) {}
  ~GroMerge() override { burst_.drop(measured_, cache_); }
  void prepare() override {
    if (burst_.size() > (operations() + kMost - 1) / kMost) give_up("segments were not merged");
    burst_.drop(measured_, cache_);
    if (!burst_.fill(cache_, operations())) give_up("the pool is too small");
    for (Mbuf& mbuf : burst_) {
      segments_.write_next(mbuf.append(TcpSegments::kFrame));
      mbuf.set_rx_words(RxFormat::intel_advanced, 0,
                        std::uint64_t{TcpSegments::kFrame} << 32 | (checked_ ? kBothChecked : 0));
    }
  }
  void run() override { gro_.merge(burst_); }

 private:
  /// Segments that a merged frame of at most 65,535 bytes has room for.
  static constexpr std::uint32_t kMost = (65535 - 52) / 1400;

  Context context_;
  Mempool pool_;
  MempoolCache cache_{pool_};
  DropCounter measured_{"measured"};
  bool checked_;
  TcpSegments segments_;
  Gro gro_;
  Burst<Setup::kMaxBurst> burst_;
};

}  // namespace

std::unique_ptr<Workload> gro_merge(const Setup& setup) { return std::make_unique<GroMerge>(setup, true); }
std::unique_ptr<Workload> gro_merge_checksums(const Setup& setup) { return std::make_unique<GroMerge>(setup, false); }

}  // namespace pollux::bench
