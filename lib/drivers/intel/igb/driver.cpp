// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/driver.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "drivers/intel/common/card_rows.hpp"
#include "drivers/intel/igb/port.hpp"
#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::drivers::igb {
namespace {

const char* not_driven(const hw::igb::CardTraits& card) {
  return card.media == hw::igb::Media::copper
             ? ""
             : "only ports with the internal copper PHY are driven; SerDes and fiber ports are not";
}

}  // namespace

CardDriver driver() {
  return {.name = "igb",
          .cards = intel::known_cards(hw::igb::kCards, not_driven),
          .probe = probe,
          .layout = &card_layout()};
}

Result<std::unique_ptr<PortDriver>> probe(Context& context, std::unique_ptr<Device> device) {
  const auto card = intel::find_driven(hw::igb::kCards, *device, "igb", not_driven);
  if (!card) return tl::unexpected<Error>(card.error());
  return IgbPort::open(context.state(), **card, std::move(device));
}

namespace {

namespace reg = hw::igb;

template <class Low, class High, class Length, class Tail>
constexpr RingRegisters ring_of(bool receive, std::uint32_t stride) {
  return {.receive = receive,
          .descriptor_bytes = hw::intel::kDescriptorBytes,
          .base_low = Low::offset(0),
          .base_high = High::offset(0),
          .length = Length::offset(0),
          .tail = Tail::offset(0),
          .buffer = receive ? reg::SRRCTL::offset(0) : 0,
          .stride = stride,
          .queues = Tail::kCount};
}

constexpr std::array kIgbRings{
    ring_of<reg::RDBAL, reg::RDBAH, reg::RDLEN, reg::RDT>(true, reg::RDT::offset(1) - reg::RDT::offset(0)),
    ring_of<reg::TDBAL, reg::TDBAH, reg::TDLEN, reg::TDT>(false, reg::TDT::offset(1) - reg::TDT::offset(0)),
};

// BSIZEPACKET is in KiB. 0 means that RCTL.BSIZE applies, which the driver leaves at 2,048 bytes.
std::uint32_t igb_buffer_bytes(std::uint32_t value) noexcept {
  const std::uint32_t kilobytes = reg::SRRCTL::Value(value).get(reg::SRRCTL::BSIZEPACKET);
  return kilobytes == 0 ? 2048 : kilobytes * 1024;
}

std::uint32_t igb_payload(std::span<const std::uint64_t> write_back) noexcept {
  return hw::intel::rx::done(write_back[1]) ? hw::intel::rx::length(write_back[1]) : 0;
}

// [I-HDRSPLIT] Of a header that is longer than its buffer, none is there.
std::uint32_t igb_header_buffer_bytes(std::uint32_t value) noexcept {
  const reg::SRRCTL::Value control(value);
  return control.has(reg::SRRCTL::SPLIT) ? control.get(reg::SRRCTL::BSIZEHEADER) * hw::intel::kRxHeaderUnit : 0;
}

std::uint32_t igb_header(std::span<const std::uint64_t> write_back) noexcept {
  const bool is_there = hw::intel::rx::done(write_back[1]) && (write_back[0] & hw::intel::rx::kSplitHeader) != 0 &&
                        (write_back[1] & hw::intel::rx::kHeaderOverflow) == 0;
  return is_there ? hw::intel::rx::header_length(write_back[0]) : 0;
}

bool is_at(const RegisterInfo& info, std::uint32_t offset) noexcept {
  for (std::uint32_t index = 0; index < info.stride.count; ++index) {
    if (info.at(index) == offset) return true;
  }
  return false;
}

// Counters are the registers that only a read clears (Access::rc). Interrupt causes, which a write also clears, are not
// counters.
bool igb_is_counter(std::uint32_t offset) noexcept {
  return std::any_of(reg::kRegisters.begin(), reg::kRegisters.end(),
                     [&](const RegisterInfo& info) { return info.access == Access::rc && is_at(info, offset); });
}

// The driver reads ICR when a message has come, which a replay delivers at another time, and does not use its value.
// With each service it compares the heads and tails of rings (TxWatch, RxWatch).
bool igb_is_status(std::uint32_t offset) noexcept {
  if (offset == reg::STATUS::offset(0) || offset == reg::ICR::offset(0)) return true;
  for (std::uint32_t queue = 0; queue < hw::igb::kTxQueues; ++queue) {
    if (offset == reg::TDH::offset(queue) || offset == reg::TDT::offset(queue)) return true;
    if (offset == reg::TXDCTL::offset(queue)) return true;
  }
  for (std::uint32_t queue = 0; queue < hw::igb::kRxQueues; ++queue) {
    if (offset == reg::RDH::offset(queue) || offset == reg::RDT::offset(queue)) return true;
    if (offset == reg::RXDCTL::offset(queue)) return true;
  }
  return false;
}

std::string igb_name(std::uint32_t offset) {
  const auto name_in = [offset](const auto& table) -> std::string {
    for (const RegisterInfo& info : table) {
      for (std::uint32_t index = 0; index < info.stride.count; ++index) {
        if (info.at(index) != offset) continue;
        return info.stride.count == 1 ? std::string(info.name) : fmt::format("{}[{}]", info.name, index);
      }
    }
    return {};
  };
  std::string name = name_in(reg::kRegisters);
  if (name.empty()) name = name_in(reg::kLaterRegisters);
  return name.empty() ? "an undeclared register" : name;
}

constexpr CardLayout kIgb{.bar = reg::kRegisterBar,
                          .rings = kIgbRings,
                          .max_descriptors = reg::kRingMax,
                          .buffer_bytes = igb_buffer_bytes,
                          .payload = igb_payload,
                          .header_buffer_bytes = igb_header_buffer_bytes,
                          .header = igb_header,
                          .is_counter = igb_is_counter,
                          .is_status = igb_is_status,
                          .name = igb_name};

}  // namespace

const CardLayout& card_layout() noexcept { return kIgb; }

}  // namespace pollux::drivers::igb
