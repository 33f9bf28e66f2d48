// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "pollux/pollux.hpp"

namespace pollux::examples {

/// A port as a network interface of lwIP, with one static IPv4 address. lwIP runs in the caller's thread, without a
/// thread of its own; its state is global, so there is one object per process.
/// Thread rule: one thread, which also calls lwIP.
class LwipPort {
 public:
  struct Address {
    packet::Ipv4Address address{};
    packet::Ipv4Address netmask{};
  };
  struct Counts {
    std::uint64_t received = 0;   ///< frames passed to lwIP
    std::uint64_t sent = 0;       ///< frames of lwIP that the port has taken
    std::uint64_t no_pbuf = 0;    ///< received frames that lwIP had no memory for
    std::uint64_t no_mbuf = 0;    ///< frames of lwIP for which there was no mbuf; TCP sends them again
    std::uint64_t ring_full = 0;  ///< frames of lwIP for which the port had no room; TCP sends them again
  };

  /// `port` and `cache` outlive the object. Errors: no_memory, not_supported (the library is not that of its headers).
  [[nodiscard]] static Result<std::unique_ptr<LwipPort>> create(Port& port, MempoolCache& cache,
                                                                const Address& address);
  LwipPort(const LwipPort&) = delete;
  LwipPort& operator=(const LwipPort&) = delete;
  ~LwipPort();

  /// Passes all frames of `burst` to lwIP, and sends what lwIP has answered.
  void receive(Burst<64>& burst);
  /// Runs lwIP's timers that are due, and sends what they made. Call it every kTimerPeriod or more often.
  void run_timers();
  static constexpr Duration kTimerPeriod = std::chrono::milliseconds(20);

  [[nodiscard]] Counts counts() const;

 private:
  struct Netif;
  LwipPort(Port& port, MempoolCache& cache);
  [[nodiscard]] bool send(MbufPtr frame);
  void flush();

  Port& port_;
  MempoolCache& cache_;
  Burst<64> out_;
  Counts counts_;
  DropCounter handled_{"handled"};
  DropCounter ring_full_{"ring_full"};
  std::unique_ptr<Netif> netif_;
};

}  // namespace pollux::examples
