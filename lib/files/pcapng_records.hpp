// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace pollux::files {

/// What libpcap does not say about the frames of a pcapng file (draft-ietf-opsawg-pcapng, 4). The file is untrusted.
class PcapngRecords {
 public:
  struct Record {
    std::uint32_t interface = 0;  ///< of all interfaces in the file
    std::uint32_t fcs_bytes = 0;  ///< of the check sequence at the end of the frame
  };
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  using Stream = std::unique_ptr<std::FILE, Close>;

  /// `file` is at the beginning of the file.
  explicit PcapngRecords(Stream file) noexcept : file_(std::move(file)) {}

  /// The next record with a frame, as libpcap counts them. nullopt: the file has no further one that can be read.
  [[nodiscard]] std::optional<Record> next();

 private:
  [[nodiscard]] bool read_block();
  [[nodiscard]] bool read_section(std::uint32_t& length);
  void add_interface();
  [[nodiscard]] std::optional<Record> packet() const;
  [[nodiscard]] std::uint32_t word(std::size_t at) const noexcept;
  [[nodiscard]] std::uint16_t half(std::size_t at) const noexcept;
  [[nodiscard]] std::span<const std::uint8_t> option(std::size_t at, std::uint16_t code) const noexcept;

  Stream file_;
  bool swapped_ = false;  // the section has the other byte order
  std::uint32_t type_ = 0;
  std::vector<std::uint8_t> body_;
  std::size_t first_ = 0;                // index of the section's first interface
  std::vector<std::uint8_t> fcs_bytes_;  // by interface
};

}  // namespace pollux::files
