// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include <pollux/net/queued_port.hpp>
#include <pollux/pollux.hpp>

namespace own_driver {

/// The row for `pollux::add_driver`.
[[nodiscard]] pollux::CardDriver driver();

class RxQueue final : public pollux::RxQueueDriver {
 public:
  RxQueue(const pollux::Bar& bar, const pollux::RxFilter& filter) : pollux::RxQueueDriver(&burst, &filter), bar_(bar) {}

 private:
  static std::uint32_t burst(pollux::RxQueue& base, pollux::Mbuf** out, std::uint32_t limit) noexcept;

  pollux::Bar bar_;
};

class TxQueue final : public pollux::TxQueueDriver {
 public:
  explicit TxQueue(const pollux::Bar& bar) : pollux::TxQueueDriver(&burst), bar_(bar) {}

 private:
  static std::uint32_t burst(pollux::TxQueue& base, pollux::Mbuf* const* mbufs, std::uint32_t count) noexcept;

  pollux::Bar bar_;
};

/// A port of the invented card. Each function is one step that the library calls after it has checked the state.
class Port final : public pollux::QueuedPort {
 public:
  Port(const pollux::Context& context, std::unique_ptr<pollux::Device> device, const pollux::Bar& bar,
       std::uint16_t index);

  [[nodiscard]] pollux::MacAddress permanent_mac() const override { return mac_; }
  [[nodiscard]] pollux::Result<void> start() override;
  [[nodiscard]] pollux::Result<void> halt() override;
  [[nodiscard]] pollux::Result<void> apply(const pollux::PlacedSettings* from,
                                           const pollux::PlacedSettings& to) override;
  [[nodiscard]] pollux::Link link() override;
  [[nodiscard]] pollux::Result<pollux::Duration> service() override;
  [[nodiscard]] pollux::Result<void> release(bool failed) override;

 private:
  std::unique_ptr<pollux::Device> device_;
  pollux::Bar bar_;
  pollux::MacAddress mac_{};
  pollux::RxFilter filter_;
  RxQueue rx_;
  TxQueue tx_;
};

}  // namespace own_driver
