// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "hw/intel/igbvf/registers.hpp"
#include "hw/intel/registers_queue.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {

namespace vf = pollux::hw::igbvf;

/// A card with one virtual function, which has pool 0 and memory of its own. The physical function has pool 1. Function
/// and card use the same addresses in their memories.
struct FunctionFixture : CardFixture {
  static constexpr std::uint8_t kFunctionAddress = 0x70;  // last byte
  static constexpr std::uint32_t kPhysicalPool = 1;

  FunctionFixture() {
    card.enable_functions(1);
    function = card.function(0);
    function->set_dma(&own_memory);
    function->on_interrupt([this](unsigned vector) { own_messages.push_back(vector); });
    for (std::uint32_t vector = 0; vector < 3; ++vector) {
      function->write32(vf::kMsixBar, vector * 16 + 12, 0);
      card.write32(hw::kMsixBar, vector * 16 + 12, 0);
    }
    write<hw::GPIE>(hw::GPIE::MSIX_MODE | hw::GPIE::EIAME);
    write<hw::IVAR_MISC>(hw::IVAR_MISC::OTHER(0) | hw::IVAR_MISC::OTHER_VALID);
    write<hw::EIAC>(hw::EIAC::VECTORS(1));
    write<hw::EIMS>(hw::EIMS::VECTORS(1));
    write<hw::IMS>(hw::IMS::VMMB | hw::IMS::DOUTSYNC);
  }

  template <class R>
  [[nodiscard]] typename R::Value own(std::uint32_t index = 0) {
    return typename R::Value(function->read32(vf::kRegisterBar, place<R>(index)));
  }
  template <class R>
  void own_write(typename R::Value value, std::uint32_t index = 0) {
    function->write32(vf::kRegisterBar, place<R>(index), value.raw());
  }
  template <class R>
  [[nodiscard]] static std::uint32_t place(std::uint32_t index) {
    if constexpr (R::kRegisterAlias.count != 0) {
      return R::kRegisterAlias.offset + index * R::kRegisterAlias.bytes;
    } else {
      return R::offset(index);
    }
  }

  /// Pools as Linux's igb sets them up for one function, without VLANs.
  void set_up_pools() {
    link_up();
    write<hw::MRQC>(hw::MRQC::VMDQ);
    write<hw::VT_CTL>(hw::VT_CTL::DEFAULT_POOL(kPhysicalPool) | hw::VT_CTL::REPLICATION_EN);
    write<hw::DTXSWC>(hw::DTXSWC::VMDQ_LOOPBACK_EN);
    for (const std::uint32_t pool : {0U, kPhysicalPool}) {
      write<hw::VMOLR>(pool, read<hw::VMOLR>(pool).with(hw::VMOLR::BAM | hw::VMOLR::AUPE));
    }
    add_address(0, 0x60, kPhysicalPool);
    add_address(1, kFunctionAddress, 0);
  }
  void add_address(std::uint32_t entry, std::uint8_t last, std::uint32_t pool) {
    write<hw::RAL>(entry, hw::RAL::Value(0x82000002));
    write<hw::RAH>(entry,
                   hw::RAH::ADDRESS(0x57U | std::uint32_t{last} << 8) | hw::RAH::POOLSEL(1U << pool) | hw::RAH::AV);
  }

  void start_own_rx() {
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      own_memory.descriptor(kRxRing, slot) = intel::rx::armed(buffer(slot));
    }
    using namespace pollux::hw::intel;
    own_write<RDBAL>(RDBAL::Value(static_cast<std::uint32_t>(kRxRing)));
    own_write<RDLEN>(RDLEN::Value(kSlots * hw::kDescriptorBytes));
    own_write<SRRCTL>(SRRCTL::BSIZEPACKET(2) | SRRCTL::ONE_BUFFER | SRRCTL::DROP_EN);
    own_write<RXDCTL>(RXDCTL::ENABLE);
    pass(Receive::kEnableTime);
    own_write<RDT>(RDT::TAIL(kSlots - 1));
  }
  /// Sends a frame of the function.
  void own_send(std::span<const std::byte> frame) {
    using namespace pollux::hw::intel;
    if (!std::exchange(sends_, true)) {
      own_write<TDBAL>(TDBAL::Value(static_cast<std::uint32_t>(kTxRing)));
      own_write<TDLEN>(TDLEN::Value(kSlots * hw::kDescriptorBytes));
      own_write<TXDCTL>(TXDCTL::ENABLE);
      write<hw::TCTL>(hw::TCTL::EN | hw::TCTL::PSP);
      pass(Transmit::kEnableTime);
    }
    std::copy(frame.begin(), frame.end(), own_memory.at(kBuffers));
    const std::uint32_t tail = own<TDT>().get(TDT::TAIL);
    own_memory.descriptor(kTxRing, tail) = pollux::hw::intel::tx::data(
        kBuffers, static_cast<std::uint32_t>(frame.size()), static_cast<std::uint32_t>(frame.size()),
        intel::tx::kInsertCrc | intel::tx::kEndOfPacket | intel::tx::kReportStatus);
    own_write<TDT>(TDT::TAIL(tail + 1));
  }
  /// A frame from one address to another; both are last bytes.
  [[nodiscard]] static std::vector<std::byte> frame_between(std::uint8_t from, std::uint8_t to) {
    auto bytes = frame(60, to);
    const auto source = frame(60, from);
    std::copy_n(source.begin(), 6, bytes.begin() + 6);
    return bytes;
  }
  [[nodiscard]] std::uint32_t own_received() { return own<pollux::hw::intel::RDH>().raw(); }
  [[nodiscard]] std::uint32_t physical_received() { return read<hw::RDH>(kPhysicalPool).raw(); }

  TestMemory own_memory{1 << 20};
  DeviceModel* function = nullptr;
  std::vector<unsigned> own_messages;

 private:
  bool sends_ = false;
};

}  // namespace pollux::models::igb
