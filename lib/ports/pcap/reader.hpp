// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::pcap {

struct PcapCloser {
  void operator()(pcap_t* pcap) const noexcept { ::pcap_close(pcap); }
};
using PcapHandle = std::unique_ptr<pcap_t, PcapCloser>;

/// Reads the frames of a capture file one by one: pcap with micro- or nanoseconds, or pcapng. The file is untrusted;
/// libpcap checks the lengths of records. Thread rule: one thread at a time.
class Reader {
 public:
  /// A frame of the file; valid until the next call of `next`.
  struct Record {
    std::span<const std::uint8_t> bytes;  ///< the captured bytes
    std::uint32_t length = 0;             ///< the length on the wire
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
  };
  enum class Outcome : std::uint8_t { record, end, malformed };

  /// `name` is for messages. Errors: not_found, permission_denied, invalid_argument (not a regular file, not a capture
  /// file, or not Ethernet), io_error.
  [[nodiscard]] static Result<Reader> open(const std::string& path, std::string_view name);

  [[nodiscard]] Outcome next(Record& record) noexcept;
  /// Restarts at the first frame. Returns false if the file cannot be opened again.
  [[nodiscard]] bool rewind() noexcept;
  /// Whether this is the file with that device and inode.
  [[nodiscard]] bool is_same_file(std::uint64_t device, std::uint64_t inode) const noexcept {
    return device == device_ && inode == inode_;
  }
  /// libpcap's message about a malformed record.
  [[nodiscard]] std::string error_text() const { return ::pcap_geterr(pcap_.get()); }

 private:
  Reader(std::string path, PcapHandle pcap, std::uint64_t device, std::uint64_t inode)
      : path_(std::move(path)), pcap_(std::move(pcap)), device_(device), inode_(inode) {}

  std::string path_;
  PcapHandle pcap_;
  std::uint64_t device_;
  std::uint64_t inode_;
};

}  // namespace pollux::pcap
