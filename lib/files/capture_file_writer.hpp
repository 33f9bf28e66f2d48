// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::files {

struct PcapClose {
  void operator()(pcap_t* pcap) const noexcept { ::pcap_close(pcap); }
  void operator()(pcap_dumper_t* dumper) const noexcept { ::pcap_dump_close(dumper); }
};

/// Writes frames without FCS to a pcap file with time stamps in nanoseconds. Frames are written in bursts: after each
/// burst the file is a valid capture file, and a burst that fails is removed from it. Thread rule: one thread at a
/// time.
class CaptureFileWriter {
 public:
  /// Errors: those of open_output_file. `name` is for messages. The times of frames are those of `clock`: if it is the
  /// machine's, which began at its start, the file has the time of day; virtual time is left as it is.
  [[nodiscard]] static Result<CaptureFileWriter> create(const std::string& path, std::string_view name,
                                                        const Clock& clock);
  CaptureFileWriter(CaptureFileWriter&&) noexcept = default;
  CaptureFileWriter& operator=(CaptureFileWriter&&) = delete;
  ~CaptureFileWriter();

  void put(std::span<const std::byte> frame, Duration time) noexcept;
  /// Ends a burst. Returns false if writing it failed; all later bursts then fail, too.
  [[nodiscard]] bool flush() noexcept;
  /// Why a write failed. May be called by any thread once `flush` has returned false.
  [[nodiscard]] Error error() const;

 private:
  using Format = std::unique_ptr<pcap_t, PcapClose>;
  using Dumper = std::unique_ptr<pcap_dumper_t, PcapClose>;

  CaptureFileWriter(std::string what, FileDescriptor file, Format format, Dumper dumper, Duration epoch)
      : what_(std::move(what)),
        file_(std::move(file)),
        format_(std::move(format)),
        dumper_(std::move(dumper)),
        epoch_(epoch) {}

  std::string what_;     // name and path
  FileDescriptor file_;  // not the descriptor of the dumper, which the dumper closes
  Format format_;
  Dumper dumper_;
  Duration epoch_;            // from 1970 to the clock's start
  std::int64_t written_ = 0;  // size of the file after the last successful burst
  int failure_ = 0;           // errno of the failed burst
};

}  // namespace pollux::files
