// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/capture_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "backends/sim/link_partner.hpp"

namespace pollux::sim {

std::FILE* open_regular_file(const std::string& path, const char* mode) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    errno = EINVAL;
    return nullptr;
  }
  return std::fopen(path.c_str(), mode);
}

Result<std::unique_ptr<CaptureFile>> CaptureFile::create(std::string_view option, const std::string& path) {
  Format format(pcap_open_dead_with_tstamp_precision(DLT_EN10MB, static_cast<int>(kLinkPartnerFrameBytes),
                                                     PCAP_TSTAMP_PRECISION_NANO));
  std::FILE* const file = open_regular_file(path, "wbe");
  if (file == nullptr) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}={}", option, path), errno, "use a writable file");
  }
  Writer writer(format == nullptr ? nullptr : pcap_dump_fopen(format.get(), file));
  if (writer == nullptr) {
    static_cast<void>(std::fclose(file));
    return fail(ErrorCode::io_error, fmt::format("{}={}: the file's header cannot be written", option, path),
                "check whether the disk is full");
  }
  return std::unique_ptr<CaptureFile>(new CaptureFile(std::move(format), std::move(writer)));
}

bool CaptureFile::write(std::span<const std::byte> frame, Duration now) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  pcap_pkthdr header{};
  header.ts.tv_sec = seconds.count();
  header.ts.tv_usec = (now - seconds).count();  // nanoseconds, as set in the file's header
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
  pcap_dump(reinterpret_cast<u_char*>(out_.get()), &header, reinterpret_cast<const u_char*>(frame.data()));
  return pcap_dump_flush(out_.get()) == 0;
}

}  // namespace pollux::sim
