// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pollux::test {

/// A pcapng file in the machine's byte order, read without the library's writer.
struct PcapngFile {
  using Options = std::map<std::uint16_t, std::string>;
  struct Interface {
    std::uint16_t link_type = 0;
    std::uint32_t snaplen = 0;
    Options options;
    [[nodiscard]] std::string name() const { return options.at(2); }
  };
  struct Packet {
    std::uint32_t interface = 0;
    std::uint64_t time = 0;
    std::uint32_t length = 0;
    std::vector<std::byte> bytes;
    Options options;
    [[nodiscard]] std::uint32_t flags() const;
    [[nodiscard]] std::uint64_t lost() const;
    [[nodiscard]] std::string comment() const;
  };
  struct Statistics {
    std::uint32_t interface = 0;
    Options options;
    [[nodiscard]] std::optional<std::uint64_t> number(std::uint16_t option) const;
    [[nodiscard]] std::string comment() const;
  };

  Options section;
  std::vector<Interface> interfaces;
  std::vector<Packet> packets;
  std::vector<Statistics> statistics;

  /// The packets of the interface with that name.
  [[nodiscard]] std::vector<Packet> of(const std::string& name) const;
  [[nodiscard]] const Statistics& statistics_of(const std::string& name) const;
};

/// Throws std::runtime_error if the bytes are not a sequence of well-formed blocks that begins with a section.
[[nodiscard]] PcapngFile read_pcapng(std::span<const std::byte> bytes);

}  // namespace pollux::test
