// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hw/intel/igbvf/registers.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igbvf {

using Message = hw::igbvf::Message;
using Words = std::array<std::uint32_t, hw::igbvf::kMessageWords>;

/// A virtual function's registers, and a physical function's driver that answers at once, as Linux's igb does
/// (igb_main.c, igb_rcv_msg_from_vf). Transfers no frames. Shared with the test, since a port owns its device.
struct FakeFunction final : RemoteRegisters {
  // The behaviour of the physical function.
  bool answers = true;
  bool reads = true;                   ///< reads requests
  std::optional<MacAddress> mac;       ///< the address that it assigns to the function
  std::optional<Message> refuses;      ///< the kind of requests that it refuses
  bool in_reset = false;               ///< RSTI is set
  unsigned locked_polls = 0;           ///< the number of attempts for which it still holds the memory
  std::optional<Words> before_answer;  ///< an unsolicited message that it sends before the answer
  bool link_up = true;
  bool removed = false;
  bool queues_stay_off = false;
  // What the virtual function's driver has done.
  std::vector<Words> requests;
  unsigned resets = 0;
  unsigned resets_while_on = 0;  ///< with a queue that was not disabled before
  unsigned unknown = 0;          ///< accesses to registers that a function does not have
  std::array<std::uint32_t, hw::igbvf::kRegisterBytes / 4> words{};

  /// Sends an unsolicited message.
  void send(std::uint32_t word);
  /// Reports that the physical function was reset and is up again.
  void reset_by_physical();
  template <class R>
  [[nodiscard]] std::uint32_t& at(std::uint32_t index = 0) {
    return words[AliasOffsets::offset<R>(index) / 4];
  }
  [[nodiscard]] std::vector<Words> requests_of(Message kind) const;

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override;
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override;
  void flush() noexcept override {}

 private:
  void write_mailbox(std::uint32_t value);
  void take_request();
  [[nodiscard]] std::uint32_t read_mailbox();
  void put(const Words& message);

  std::uint32_t mailbox_ = 0;
  std::optional<Words> answer_;
};

/// The Device of a FakeFunction.
class FakeDevice final : public Device {
 public:
  explicit FakeDevice(std::shared_ptr<FakeFunction> function, std::size_t bar_bytes = hw::igbvf::kRegisterBytes)
      : function_(std::move(function)), bar_bytes_(bar_bytes) {}

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override { return {.vendor = 0x8086, .device = 0x10CA}; }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t, unsigned) override { return 0U; }
  [[nodiscard]] Result<void> write_config(std::uint32_t, unsigned, std::uint32_t) override { return {}; }
  [[nodiscard]] Result<Bar> bar(unsigned) override { return Bar(*function_, bar_bytes_); }
  [[nodiscard]] Result<void> set_bus_master(bool) override { return {}; }
  [[nodiscard]] Result<void> reset() override { return {}; }
  [[nodiscard]] DmaDomain& dma_domain() override { std::abort(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return 3; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned) override {
    return fail(ErrorCode::not_supported, "no interrupts", "");
  }

 private:
  std::shared_ptr<FakeFunction> function_;
  std::size_t bar_bytes_;
  std::string name_ = "fake:vf0";
};

}  // namespace pollux::drivers::igbvf
