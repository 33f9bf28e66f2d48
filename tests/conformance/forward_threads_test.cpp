// SPDX-License-Identifier: BSD-3-Clause
// A forward path runs on one thread while another controls its port.
#include <algorithm>
#include <atomic>
#include <thread>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

/// A thread that returns the frames that a port receives to another one, by a forward path.
class Forwarder {
 public:
  Forwarder(ForwardPath& path, const MacAddress& to) : path_(path), to_(to), thread_([this] { run(); }) {}
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  ~Forwarder() {
    end_.store(true, std::memory_order_relaxed);
    thread_.join();
  }

 private:
  void run() {
    while (!end_.load(std::memory_order_relaxed)) {
      path_.burst(32, [&](ForwardedFrame& frame) { std::copy(to_.begin(), to_.end(), frame.data); });
      std::this_thread::yield();
    }
  }

  ForwardPath& path_;
  MacAddress to_;
  std::atomic<bool> end_{false};
  std::thread thread_;
};

class ForwardThreads : public Conformance {};

// Who inserts tags changes only while no frame waits for one. The queues of a forward path send none with a request, so
// their thread goes on meanwhile.
CONFORMANCE_TEST_WHERE(ForwardThreads, TagsChangeHandsWhileAForwardPathRuns,
                       traits.forward_paths&& traits.card_receive) {
  pollux::Settings own = config(*pool_);
  ASSERT_TRUE(test::configure_port(left(), own));
  own.tx.resize(2, own.tx[0]);
  ASSERT_TRUE(test::configure_port(right(), own));
  auto path = right().forward_path(0, right(), 0);
  ASSERT_TRUE(path) << path.error().message();
  ASSERT_TRUE(left().start());
  ASSERT_TRUE(right().start());
  wait_for_links();
  const Forwarder forwarder(**path, left().mac());
  constexpr std::uint32_t kInRound = 8;
  for (std::uint32_t round = 0; round < 40; ++round) {
    send(left(), make_frames(kInRound, 100, right().mac()));
    Burst<kInRound> burst;
    for (std::uint32_t i = 0; i < kInRound; ++i) {
      MbufPtr mbuf = make_mbuf(make_frame(60 + i, i, left().mac()));
      mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 0x6007});
      ASSERT_TRUE(burst.push(mbuf));
    }
    ASSERT_EQ(right().tx(1).tx_burst(burst), kInRound);
    ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.vlan_stripping = round % 2 == 0; }));
    std::uint32_t forwarded = 0;
    std::uint32_t tagged = 0;
    static_cast<void>(wait_until(context_->clock(), "the frames of a round", std::chrono::seconds(20), [&] {
      Burst<32> arrived;
      if (left().rx(0).rx_burst(arrived) == 0) pass_time();
      for (const Mbuf& mbuf : arrived) {
        const Bytes bytes = content(mbuf);
        forwarded += bytes[12] == 0x88 && bytes[13] == 0xB5 ? 1U : 0U;
        tagged += bytes[12] == 0x81 && bytes[14] == 0x60 && bytes[15] == 0x07 ? 1U : 0U;
      }
      return forwarded + tagged == 2 * kInRound;
    }));
    ASSERT_EQ(forwarded, kInRound) << round;
    ASSERT_EQ(tagged, kInRound) << round;
    right().tx(1).tx_done_cleanup();
  }
}

}  // namespace
}  // namespace pollux::conformance
