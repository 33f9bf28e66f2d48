// SPDX-License-Identifier: BSD-3-Clause
#include "files/capture_file_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <utility>

#include "base/open_file.hpp"

namespace pollux::files {
namespace {

constexpr int kSnapLength = 262144;  // as tcpdump
constexpr std::int64_t kPerSecond = 1'000'000'000;

/// From 1970 to the clock's start. A clock that is set later does not change the times between frames.
Duration epoch_of(const Clock& clock) {
  if (dynamic_cast<const SteadyClock*>(&clock) == nullptr) return Duration(0);
  return std::chrono::system_clock::now().time_since_epoch() - clock.now();
}

}  // namespace

Result<CaptureFileWriter> CaptureFileWriter::create(const std::string& path, std::string_view name,
                                                    const Clock& clock) {
  auto file = open_output_file(path, name);
  if (!file) return pass_on(std::move(file));
  const std::string what = fmt::format("{}: cannot write {}", name, path);
  const auto failed = [&] {
    return fail_errno(ErrorCode::io_error, what, errno, "write to a file system with free space");
  };
  FileDescriptor second(::fcntl(file->get(), F_DUPFD_CLOEXEC, 0));
  if (!second) return failed();
  Format format(::pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kSnapLength, PCAP_TSTAMP_PRECISION_NANO));
  std::FILE* const stream = format == nullptr ? nullptr : ::fdopen(second.get(), "wb");
  if (stream == nullptr) return failed();
  static_cast<void>(second.release());
  Dumper dumper(::pcap_dump_fopen(format.get(), stream));
  if (dumper == nullptr) {
    const auto error = failed();
    std::fclose(stream);
    return error;
  }
  CaptureFileWriter writer(what, *std::move(file), std::move(format), std::move(dumper), epoch_of(clock));
  if (!writer.flush()) return tl::unexpected<Error>(writer.error());
  return writer;
}

CaptureFileWriter::~CaptureFileWriter() {
  if (dumper_ == nullptr) return;
  dumper_.reset();
  // Closing the stream may have written bytes that were buffered since the failure. Remove them.
  if (failure_ != 0) static_cast<void>(!::ftruncate(file_.get(), written_));
}

void CaptureFileWriter::put(std::span<const std::byte> frame, Duration time) noexcept {
  if (failure_ != 0) return;
  const std::int64_t nanoseconds = (epoch_ + time).count();
  pcap_pkthdr header{};
  header.ts.tv_sec = nanoseconds / kPerSecond;
  header.ts.tv_usec = nanoseconds % kPerSecond;
  header.caplen = header.len = static_cast<std::uint32_t>(frame.size());
  ::pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, reinterpret_cast<const u_char*>(frame.data()));
}

bool CaptureFileWriter::flush() noexcept {
  if (failure_ != 0) return false;
  std::FILE* const stream = ::pcap_dump_file(dumper_.get());
  errno = 0;
  if (::pcap_dump_flush(dumper_.get()) == 0 && std::ferror(stream) == 0) {
    written_ = ::pcap_dump_ftell64(dumper_.get());
    return true;
  }
  failure_ = errno != 0 ? errno : EIO;  // the write that failed may have been an earlier one
  static_cast<void>(!::ftruncate(file_.get(), written_));
  return false;
}

Error CaptureFileWriter::error() const {
  return {ErrorCode::io_error, fmt::format("{} ({})", what_, std::generic_category().message(failure_)),
          "the file has the frames before that; write to a file system with free space"};
}

}  // namespace pollux::files
