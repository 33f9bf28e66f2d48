// SPDX-License-Identifier: BSD-3-Clause
// Injects one memory fault at each memory access of the card: a write-back that is late, missing, torn, duplicate or
// wrong, or an access that is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "hw/intel/descriptors.hpp"
#include "unit/faults/sweep.hpp"

namespace pollux::test {
namespace {

namespace rx = hw::intel::rx;
using namespace std::chrono_literals;

Fault in_memory(std::string name, MemoryFault fault) {
  return {.name = std::move(name), .options = {.memory = std::move(fault)}, .in_memory = true};
}

Fault refused(std::string name, ModelAccess what) {
  Fault fault = in_memory(std::move(name), {.kind = MemoryFaultKind::refused, .what = what});
  fault.options.may_refuse_dma = true;
  return fault;
}

/// Receive write-backs whose high word has `bits` set to `value`.
Fault with_bits(std::string name, std::uint64_t bits, std::uint64_t value, std::uint64_t count = 1) {
  return in_memory(std::move(name),
                   {.kind = MemoryFaultKind::changed, .count = count, .change = [=](std::span<std::byte> bytes) {
                      hw::intel::Descriptor descriptor;
                      std::memcpy(&descriptor, bytes.data(), sizeof descriptor);
                      descriptor.hi = (descriptor.hi & ~bits) | value;
                      std::memcpy(bytes.data(), &descriptor, sizeof descriptor);
                    }});
}

Fault with_length(std::string name, std::uint64_t length) {
  return with_bits(std::move(name), rx::kLengthMask << rx::kLengthShift, length << rx::kLengthShift);
}

Fault on_transmit(std::string name, MemoryFault fault) {
  fault.what = ModelAccess::transmit_write_back;
  return in_memory(std::move(name), std::move(fault));
}

Fault filled_with(std::string name, ModelAccess what, std::byte with) {
  return in_memory(std::move(name),
                   {.kind = MemoryFaultKind::changed, .what = what, .change = [with](std::span<std::byte> bytes) {
                      std::fill(bytes.begin(), bytes.end(), with);
                    }});
}

TEST(EveryWriteBack, RxMissing) { sweep(in_memory("receive write-back missing", {.kind = MemoryFaultKind::missing})); }
TEST(EveryWriteBack, RxLate) {
  sweep(in_memory("receive write-back late", {.kind = MemoryFaultKind::late, .delay = 100us}));
}
TEST(EveryWriteBack, RxVeryLate) {
  sweep(in_memory("receive write-back 50 ms late", {.kind = MemoryFaultKind::late, .delay = 50ms}));
}
TEST(EveryWriteBack, RxDuplicate) {
  Fault fault = in_memory("receive write-back duplicate", {.kind = MemoryFaultKind::duplicate, .delay = 100us});
  fault.options.may_refuse_dma = true;
  sweep(fault);
}
TEST(EveryWriteBack, RxTorn) {
  sweep(in_memory("receive write-back torn", {.kind = MemoryFaultKind::torn, .delay = 100us, .first_bytes = {8, 4}}));
}
TEST(EveryWriteBack, RxTornForLong) {
  sweep(in_memory("receive write-back torn for 50 ms",
                  {.kind = MemoryFaultKind::torn, .delay = 50ms, .first_bytes = {8, 4}}));
}
TEST(EveryWriteBack, RxTornBackwards) {
  Fault fault = in_memory("receive write-back's low word late",
                          {.kind = MemoryFaultKind::torn, .delay = 100us, .first_bytes = {8, 8}});
  fault.options.may_refuse_dma = true;
  sweep(fault);
}
TEST(EveryWriteBack, RxWithoutLength) { sweep(with_length("length 0", 0)); }
TEST(EveryWriteBack, RxOneTooLong) { sweep(with_length("length 2049", 2049)); }
TEST(EveryWriteBack, RxLongest) { sweep(with_length("length 65535", 0xFFFF)); }
TEST(EveryWriteBack, RxShortest) { sweep(with_length("length 1", 1)); }
TEST(EveryWriteBack, RxWithoutEnd) { sweep(with_bits("end of packet missing", rx::kEndOfPacket, 0)); }
TEST(EveryWriteBack, RxNeverAnEnd) {
  sweep(with_bits("end of packet missing for ever", rx::kEndOfPacket, 0, FaultPlan::kForEver));
}
TEST(EveryWriteBack, RxWithAnError) { sweep(with_bits("error bit", 0, rx::kDataError)); }
TEST(EveryWriteBack, RxEveryErrorBit) { sweep(with_bits("all status bits", 0, 0xFFFFFFFF)); }
TEST(EveryWriteBack, RxAllOnes) {
  sweep(filled_with("receive write-back of ones", ModelAccess::receive_write_back, std::byte{0xFF}));
}
TEST(EveryWriteBack, RxAllZeros) {
  sweep(filled_with("receive write-back of zeros", ModelAccess::receive_write_back, std::byte{0}));
}

TEST(EveryWriteBack, TxMissing) {
  sweep(on_transmit("transmit write-back missing", {.kind = MemoryFaultKind::missing}));
}
TEST(EveryWriteBack, TxNever) {
  sweep(on_transmit("transmit write-backs missing for ever",
                    {.kind = MemoryFaultKind::missing, .count = FaultPlan::kForEver}));
}
TEST(EveryWriteBack, TxLate) {
  sweep(on_transmit("transmit write-back late", {.kind = MemoryFaultKind::late, .delay = 100us}));
}
TEST(EveryWriteBack, TxVeryLate) {
  sweep(on_transmit("transmit write-back 500 ms late", {.kind = MemoryFaultKind::late, .delay = 500ms}));
}
TEST(EveryWriteBack, TxDuplicate) {
  Fault fault = on_transmit("transmit write-back duplicate", {.kind = MemoryFaultKind::duplicate, .delay = 12ms});
  fault.options.may_refuse_dma = true;
  sweep(fault);
}
TEST(EveryWriteBack, TxAllOnes) {
  sweep(filled_with("transmit write-back of ones", ModelAccess::transmit_write_back, std::byte{0xFF}));
}
TEST(EveryWriteBack, TxAllZeros) {
  sweep(filled_with("transmit write-back of zeros", ModelAccess::transmit_write_back, std::byte{0}));
}

TEST(EveryRefusal, Descriptor) { sweep(refused("descriptor refused", ModelAccess::descriptor_read)); }
TEST(EveryRefusal, PayloadRead) { sweep(refused("frame to send refused", ModelAccess::payload_read)); }
TEST(EveryRefusal, PayloadWrite) { sweep(refused("received frame refused", ModelAccess::payload_write)); }
TEST(EveryRefusal, RxWriteBack) { sweep(refused("receive write-back refused", ModelAccess::receive_write_back)); }
TEST(EveryRefusal, TxWriteBack) { sweep(refused("transmit write-back refused", ModelAccess::transmit_write_back)); }

}  // namespace
}  // namespace pollux::test
