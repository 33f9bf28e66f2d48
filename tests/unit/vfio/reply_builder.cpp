// SPDX-License-Identifier: BSD-3-Clause
#include "reply_builder.hpp"

#include <linux/vfio.h>

#include <cstring>

namespace pollux::vfio::test {

std::uint32_t ReplyBuilder::add(std::uint16_t id, const std::vector<std::byte>& body) {
  const auto offset = static_cast<std::uint32_t>(bytes_.size());
  const vfio_info_cap_header header{id, 1, 0};
  bytes_.resize(offset + sizeof header);
  std::memcpy(bytes_.data() + offset, &header, sizeof header);
  bytes_.insert(bytes_.end(), body.begin(), body.end());
  bytes_.resize((bytes_.size() + 7) / 8 * 8);
  if (last_ != 0) set_next(static_cast<std::uint32_t>(last_), offset);
  last_ = offset;
  return offset;
}

void ReplyBuilder::set_next(std::uint32_t capability, std::uint32_t next) {
  std::memcpy(bytes_.data() + capability + offsetof(vfio_info_cap_header, next), &next, sizeof next);
}

namespace {

std::vector<std::byte> bytes_of(const void* data, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(data);
  return {first, first + size};
}

template <class Entry>
std::vector<std::byte> counted(const std::vector<Entry>& entries) {
  const std::array<std::uint32_t, 2> head{static_cast<std::uint32_t>(entries.size()), 0};
  auto bytes = bytes_of(head.data(), sizeof head);
  const auto list = bytes_of(entries.data(), entries.size() * sizeof(Entry));
  bytes.insert(bytes.end(), list.begin(), list.end());
  return bytes;
}

}  // namespace

std::vector<std::byte> ReplyBuilder::tail() const {
  return {bytes_.begin() + static_cast<std::ptrdiff_t>(fixed_), bytes_.end()};
}

std::vector<std::byte> iova_ranges(const std::vector<IovaRange>& ranges) { return counted(ranges); }

std::vector<std::byte> sparse_areas(const std::vector<std::array<std::uint64_t, 2>>& areas) { return counted(areas); }

std::vector<std::byte> one_number(std::uint32_t number) { return bytes_of(&number, sizeof number); }

}  // namespace pollux::vfio::test
