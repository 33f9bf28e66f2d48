// SPDX-License-Identifier: BSD-3-Clause
#include "pcapng_reader.hpp"

#include <cstring>
#include <stdexcept>

namespace pollux::test {
namespace {

/// Takes values from the front of a block.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class Number>
  Number take() {
    Number number{};
    std::memcpy(&number, take(sizeof number).data(), sizeof number);
    return number;
  }
  std::span<const std::byte> take(std::size_t count) {
    if (count > rest_.size()) throw std::runtime_error("a block is too short");
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::span<const std::byte> take_padded(std::size_t count) {
    const auto taken = take(count);
    static_cast<void>(take((4 - count % 4) % 4));
    return taken;
  }
  PcapngFile::Options options() {
    PcapngFile::Options all;
    while (!rest_.empty()) {
      const auto code = take<std::uint16_t>();
      const auto length = take<std::uint16_t>();
      if (code == 0) break;
      const auto value = take_padded(length);
      all[code] = std::string(reinterpret_cast<const char*>(value.data()), value.size());
    }
    if (!rest_.empty()) throw std::runtime_error("bytes follow the last option");
    return all;
  }

 private:
  std::span<const std::byte> rest_;
};

template <class Number>
Number number_in(const std::string& text) {
  Number number{};
  if (text.size() != sizeof number) throw std::runtime_error("an option has the wrong length");
  std::memcpy(&number, text.data(), sizeof number);
  return number;
}

void read_block(PcapngFile& file, std::uint32_t type, Fields fields) {
  switch (type) {
    case 0x0A0D0D0A:
      if (fields.take<std::uint32_t>() != 0x1A2B3C4D) throw std::runtime_error("another byte order");
      if (fields.take<std::uint16_t>() != 1 || fields.take<std::uint16_t>() != 0)
        throw std::runtime_error("another version");
      static_cast<void>(fields.take<std::uint64_t>());
      file.section = fields.options();
      return;
    case 1: {
      PcapngFile::Interface one;
      one.link_type = fields.take<std::uint16_t>();
      static_cast<void>(fields.take<std::uint16_t>());
      one.snaplen = fields.take<std::uint32_t>();
      one.options = fields.options();
      file.interfaces.push_back(one);
      return;
    }
    case 6: {
      PcapngFile::Packet one;
      one.interface = fields.take<std::uint32_t>();
      const std::uint64_t high = fields.take<std::uint32_t>();
      one.time = high << 32 | fields.take<std::uint32_t>();
      const auto captured = fields.take<std::uint32_t>();
      one.length = fields.take<std::uint32_t>();
      const auto bytes = fields.take_padded(captured);
      one.bytes.assign(bytes.begin(), bytes.end());
      one.options = fields.options();
      file.packets.push_back(one);
      return;
    }
    case 5: {
      PcapngFile::Statistics one;
      one.interface = fields.take<std::uint32_t>();
      static_cast<void>(fields.take<std::uint64_t>());
      one.options = fields.options();
      file.statistics.push_back(one);
      return;
    }
    default: throw std::runtime_error("an unknown block");
  }
}

std::string text_of(const PcapngFile::Options& options) {
  const auto found = options.find(1);
  return found == options.end() ? "" : found->second;
}

}  // namespace

std::uint32_t PcapngFile::Packet::flags() const { return number_in<std::uint32_t>(options.at(2)); }

std::uint64_t PcapngFile::Packet::lost() const {
  const auto found = options.find(4);
  return found == options.end() ? 0 : number_in<std::uint64_t>(found->second);
}

std::string PcapngFile::Packet::comment() const { return text_of(options); }
std::string PcapngFile::Statistics::comment() const { return text_of(options); }

std::optional<std::uint64_t> PcapngFile::Statistics::number(std::uint16_t option) const {
  const auto found = options.find(option);
  if (found == options.end()) return std::nullopt;
  return number_in<std::uint64_t>(found->second);
}

std::vector<PcapngFile::Packet> PcapngFile::of(const std::string& name) const {
  std::vector<Packet> found;
  for (const Packet& packet : packets) {
    if (interfaces.at(packet.interface).name() == name) found.push_back(packet);
  }
  return found;
}

const PcapngFile::Statistics& PcapngFile::statistics_of(const std::string& name) const {
  for (const Statistics& one : statistics) {
    if (interfaces.at(one.interface).name() == name) return one;
  }
  throw std::runtime_error("no statistics of " + name);
}

PcapngFile read_pcapng(std::span<const std::byte> bytes) {
  PcapngFile file;
  for (bool first = true; !bytes.empty(); first = false) {
    Fields head(bytes);
    const auto type = head.take<std::uint32_t>();
    const auto length = head.take<std::uint32_t>();
    if (first != (type == 0x0A0D0D0A)) throw std::runtime_error("a file begins with its only section");
    constexpr std::uint32_t kAround = 12;
    if (length % 4 != 0 || length < kAround) throw std::runtime_error("a block has a bad length");
    const auto body = head.take(length - kAround);
    if (head.take<std::uint32_t>() != length) throw std::runtime_error("a block has two lengths");
    read_block(file, type, Fields(body));
    bytes = bytes.subspan(length);
  }
  return file;
}

}  // namespace pollux::test
