// SPDX-License-Identifier: BSD-3-Clause
#include "unit/igbvf/fake_function.hpp"

#include <algorithm>
#include <cstring>

namespace pollux::drivers::igbvf {
namespace {

using hw::igbvf::V2PMAILBOX;
constexpr std::uint32_t kClearedByReading = (V2PMAILBOX::PFSTS | V2PMAILBOX::PFACK | V2PMAILBOX::RSTD).mask();
constexpr std::uint32_t kRegistersEnd = 0x4000;

}  // namespace

void FakeFunction::put(const Words& message) {
  std::copy(message.begin(), message.end(), &at<hw::igbvf::VMBMEM>(0));
  mailbox_ |= V2PMAILBOX::PFSTS.mask();
}

void FakeFunction::send(std::uint32_t word) { put(Words{word}); }

void FakeFunction::reset_by_physical() { mailbox_ |= V2PMAILBOX::RSTD.mask(); }

std::vector<Words> FakeFunction::requests_of(Message kind) const {
  std::vector<Words> found;
  for (const Words& request : requests) {
    if (hw::igbvf::kind_of(request[0]) == kind) found.push_back(request);
  }
  return found;
}

void FakeFunction::take_request() {
  if (!reads) return;
  Words request{};
  std::copy_n(&at<hw::igbvf::VMBMEM>(0), request.size(), request.begin());
  requests.push_back(request);
  mailbox_ |= V2PMAILBOX::PFACK.mask();
  if (!answers) return;
  const Message kind = hw::igbvf::kind_of(request[0]);
  Words answer{request[0]};
  bool accepted = refuses != kind;
  if (kind == Message::reset) {
    accepted = mac.has_value();
    if (mac) std::memcpy(&answer[1], mac->data(), mac->size());
  } else {
    answer[0] |= hw::igbvf::kClearToSend;
  }
  answer[0] |= accepted ? hw::igbvf::kAccepted : hw::igbvf::kRefused;
  if (before_answer) {
    answer_ = answer;  // sent when the other message has been read
    put(*std::exchange(before_answer, std::nullopt));
  } else {
    put(answer);
  }
}

void FakeFunction::write_mailbox(std::uint32_t value) {
  const V2PMAILBOX::Value wanted(value);
  mailbox_ &= ~V2PMAILBOX::VFU.mask();
  if (wanted.has(V2PMAILBOX::VFU) && locked_polls == 0) mailbox_ |= V2PMAILBOX::VFU.mask();
  if (wanted.has(V2PMAILBOX::VFU) && locked_polls != 0) --locked_polls;
  if (wanted.has(V2PMAILBOX::REQ)) take_request();
  if (wanted.has(V2PMAILBOX::ACK) && answer_) put(*std::exchange(answer_, std::nullopt));
}

std::uint32_t FakeFunction::read_mailbox() {
  const std::uint32_t value = mailbox_ | (in_reset ? V2PMAILBOX::RSTI.mask() : 0);
  mailbox_ &= ~kClearedByReading;
  return value;
}

std::uint32_t FakeFunction::read32(std::uint32_t offset) noexcept {
  if (removed) return ~std::uint32_t{0};
  if (offset == V2PMAILBOX::offset()) return read_mailbox();
  if (offset == hw::igbvf::STATUS::offset()) return 0x81U | (link_up ? hw::igbvf::STATUS::LU.mask() : 0U);
  if (offset >= kRegistersEnd) {
    ++unknown;
    return 0;
  }
  return words[offset / 4];
}

void FakeFunction::write32(std::uint32_t offset, std::uint32_t value) noexcept {
  if (removed) return;
  if (offset >= kRegistersEnd) {
    ++unknown;
    return;
  }
  if (offset == V2PMAILBOX::offset()) return write_mailbox(value);
  if (offset == hw::igbvf::CTRL::offset()) {
    if (hw::igbvf::CTRL::Value(value).has(hw::igbvf::CTRL::RST)) {
      ++resets;
      const auto queues = at<hw::intel::RXDCTL>() | at<hw::intel::TXDCTL>();
      if (hw::intel::RXDCTL::Value(queues).has(hw::intel::RXDCTL::ENABLE)) ++resets_while_on;
      at<hw::intel::RXDCTL>() = 0;
      at<hw::intel::TXDCTL>() = 0;
    }
    return;
  }
  const bool control =
      offset == AliasOffsets::offset<hw::intel::RXDCTL>(0) || offset == AliasOffsets::offset<hw::intel::TXDCTL>(0);
  words[offset / 4] = control && queues_stay_off ? value & ~hw::intel::RXDCTL::ENABLE.mask() : value;
}

}  // namespace pollux::drivers::igbvf
