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

/// Writes frames to a capture file with nanosecond timestamps. Frames are written in bursts: after each burst the file
/// is a valid capture file, and a burst that fails is removed from it. Thread rule: one thread at a time.
class Writer {
 public:
  /// Creates or truncates the file. It must not be the file of `input`, which may be nullptr. Errors: those of
  /// open_file, busy (another writer has it open), invalid_argument (it is the input).
  [[nodiscard]] static Result<Writer> open(const std::string& path, const Reader* input, std::string_view name);
  Writer(Writer&&) noexcept = default;
  Writer& operator=(Writer&&) = delete;
  ~Writer();

  void put(std::span<const std::uint8_t> frame, Duration time) noexcept;
  /// Ends a burst. Returns false if writing it failed; all later bursts then fail, too.
  [[nodiscard]] bool flush() noexcept;

 private:
  struct DumperCloser {
    void operator()(pcap_dumper_t* dumper) const noexcept { ::pcap_dump_close(dumper); }
  };
  using Dumper = std::unique_ptr<pcap_dumper_t, DumperCloser>;

  Writer(File file, PcapHandle format, Dumper dumper, std::int64_t written)
      : file_(std::move(file)), format_(std::move(format)), dumper_(std::move(dumper)), written_(written) {}

  File file_;  // not the descriptor of the dumper, which the dumper closes
  PcapHandle format_;
  Dumper dumper_;
  std::int64_t written_;  // size of the file after the last successful burst
  bool failed_ = false;
};

}  // namespace pollux::pcap
