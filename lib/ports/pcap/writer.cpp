// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace pollux::pcap {
namespace {

constexpr int kSnapLength = 262144;  // as tcpdump
constexpr std::int64_t kPerSecond = 1'000'000'000;

}  // namespace

Result<Writer> Writer::open(const std::string& path, const Reader* input, std::string_view name) {
  // The file is truncated only after the lock below is held.
  auto file = open_file(path, O_WRONLY | O_CREAT | O_NONBLOCK, name);
  if (!file) return pass_on(std::move(file));
  if (input != nullptr && input->is_same_file(file->device, file->inode)) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: in and out are the same file", name),
                "write to another file");
  }
  const int descriptor = file->descriptor.get();
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return fail_errno(ErrorCode::busy, fmt::format("{}: {}", name, path), errno,
                      "another port or process writes to it; choose another file");
  }
  const auto failed = [&] { return fail_errno(ErrorCode::io_error, fmt::format("{}: {}", name, path), errno); };
  if (::ftruncate(descriptor, 0) != 0) return failed();
  Descriptor second(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  if (second.get() < 0) return failed();
  PcapHandle format(::pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kSnapLength, PCAP_TSTAMP_PRECISION_NANO));
  std::FILE* const stream = format == nullptr ? nullptr : ::fdopen(second.get(), "wb");
  if (stream == nullptr) return failed();
  second.release();
  Dumper dumper(::pcap_dump_fopen(format.get(), stream));
  if (dumper == nullptr) {
    const auto error = failed();
    std::fclose(stream);
    return error;
  }
  if (::pcap_dump_flush(dumper.get()) != 0) return failed();
  const std::int64_t written = ::pcap_dump_ftell64(dumper.get());
  return Writer(*std::move(file), std::move(format), std::move(dumper), written);
}

Writer::~Writer() {
  if (dumper_ == nullptr) return;
  dumper_.reset();
  // Closing the stream may have written bytes that were buffered since the failure. Remove them.
  if (failed_) static_cast<void>(::ftruncate(file_.descriptor.get(), written_));
}

void Writer::put(std::span<const std::uint8_t> frame, Duration time) noexcept {
  if (failed_) return;
  const std::int64_t nanoseconds = time.count();
  pcap_pkthdr header{};
  header.ts.tv_sec = nanoseconds / kPerSecond;
  header.ts.tv_usec = nanoseconds % kPerSecond;
  header.caplen = header.len = static_cast<std::uint32_t>(frame.size());
  ::pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, frame.data());
}

bool Writer::flush() noexcept {
  if (failed_) return false;
  std::FILE* const stream = ::pcap_dump_file(dumper_.get());
  if (::pcap_dump_flush(dumper_.get()) == 0 && std::ferror(stream) == 0) {
    written_ = ::pcap_dump_ftell64(dumper_.get());
    return true;
  }
  failed_ = true;
  static_cast<void>(::ftruncate(file_.descriptor.get(), written_));
  return false;
}

}  // namespace pollux::pcap
