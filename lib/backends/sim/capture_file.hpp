// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::sim {

struct PcapClose {
  void operator()(pcap_t* file) const noexcept { pcap_close(file); }
  void operator()(pcap_dumper_t* file) const noexcept { pcap_dump_close(file); }
};

/// A capture file that frames are written to, with time stamps in nanoseconds. Thread rule: one thread at a time.
class CaptureFile {
 public:
  /// `option` is what the user called the file, for the error. Errors: io_error.
  [[nodiscard]] static Result<std::unique_ptr<CaptureFile>> create(std::string_view option, const std::string& path);

  /// Flushed after each frame, so that a reader sees whole frames while the file is open. False if the disk is full.
  [[nodiscard]] bool write(std::span<const std::byte> frame, Duration now) noexcept;

 private:
  using Format = std::unique_ptr<pcap_t, PcapClose>;
  using Writer = std::unique_ptr<pcap_dumper_t, PcapClose>;
  CaptureFile(Format format, Writer out) : format_(std::move(format)), out_(std::move(out)) {}

  Format format_;  // format of `out_`; outlives it
  Writer out_;
};

/// Opens a regular file. libpcap does not open it, because libpcap treats "-" as a standard stream and leaves
/// descriptors open across exec. A pipe is rejected, because the card would block on its other end. Sets errno if it
/// returns nullptr.
[[nodiscard]] std::FILE* open_regular_file(const std::string& path, const char* mode);

}  // namespace pollux::sim
