// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "ports/pcap/file.hpp"
#include "ports/pcap/reader.hpp"

namespace pollux::pcap {

/// Writes frames to a capture file with stamps of a nanosecond. Whole bursts: after each the file is one that others
/// can read, and a burst that the system does not take leaves no trace. Thread rule: one thread at a time.
class Writer {
 public:
  /// Makes or empties the file. `input` (nullptr: none) must be another file. Errors: those of open_file, busy
  /// (somebody writes it), invalid_argument (it is the input).
  [[nodiscard]] static Result<Writer> open(const std::string& path, const Reader* input, std::string_view name);
  Writer(Writer&&) noexcept = default;
  Writer& operator=(Writer&&) = delete;
  ~Writer();

  void put(std::span<const std::uint8_t> frame, Duration time) noexcept;
  /// Ends a burst. False if the system did not take all of it; then nor does it take any later one.
  [[nodiscard]] bool flush() noexcept;

 private:
  struct DumperCloser {
    void operator()(pcap_dumper_t* dumper) const noexcept { ::pcap_dump_close(dumper); }
  };
  using Dumper = std::unique_ptr<pcap_dumper_t, DumperCloser>;

  Writer(File file, PcapHandle format, Dumper dumper, std::int64_t written)
      : file_(std::move(file)), format_(std::move(format)), dumper_(std::move(dumper)), written_(written) {}

  File file_;  // another descriptor than the dumper's, which it closes
  PcapHandle format_;
  Dumper dumper_;
  std::int64_t written_;  // bytes up to the end of the last burst that was taken
  bool failed_ = false;
};

}  // namespace pollux::pcap
