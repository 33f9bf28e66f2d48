// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "ports/pcap/file.hpp"

namespace pollux::pcap {
namespace {

struct Opened {
  PcapHandle pcap;
  std::string error_text;
};

/// Passes `file` to libpcap, which closes it. If it is not a capture file, returns no handle but libpcap's message.
Opened open_capture(std::FILE* file) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  pcap_t* const pcap = ::pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error.data());
  if (pcap != nullptr) return {PcapHandle(pcap), {}};
  std::fclose(file);
  return {nullptr, error.data()};
}

}  // namespace

Result<Reader> Reader::open(const std::string& path, std::string_view name) {
  // O_NONBLOCK: opening a pipe must not block. open_file rejects pipes.
  auto file = open_file(path, O_RDONLY | O_NONBLOCK, name);
  if (!file) return pass_on(std::move(file));
  std::FILE* const stream = ::fdopen(file->descriptor.get(), "rb");
  if (stream == nullptr) return fail_errno(ErrorCode::io_error, fmt::format("{}: {}", name, path), errno);
  file->descriptor.release();
  Opened opened = open_capture(stream);
  if (opened.pcap == nullptr) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} is not a capture file: {}", name, path, opened.error_text),
                "use a file written by tcpdump -w or Wireshark");
  }
  if (const int type = ::pcap_datalink(opened.pcap.get()); type != DLT_EN10MB) {
    const char* const type_name = ::pcap_datalink_val_to_name(type);
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} has frames of link type {}, not Ethernet", name, path,
                            type_name != nullptr ? type_name : std::to_string(type)),
                "capture on an Ethernet interface, not on 'any' or a tunnel");
  }
  return Reader(path, std::move(opened.pcap), file->device, file->inode);
}

Reader::Outcome Reader::next(Record& record) noexcept {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int status = ::pcap_next_ex(pcap_.get(), &header, &data);
  if (status == PCAP_ERROR_BREAK) return Outcome::end;
  if (status != 1) return Outcome::malformed;
  record = {.bytes = {data, header->caplen},
            .length = header->len,
            .seconds = header->ts.tv_sec,
            .nanoseconds = header->ts.tv_usec};
  return Outcome::record;
}

bool Reader::rewind() noexcept {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return false;
  std::FILE* const stream = ::fdopen(descriptor, "rb");
  if (stream == nullptr) {
    ::close(descriptor);
    return false;
  }
  Opened again = open_capture(stream);
  if (again.pcap == nullptr || ::pcap_datalink(again.pcap.get()) != DLT_EN10MB) return false;
  pcap_ = std::move(again.pcap);
  return true;
}

}  // namespace pollux::pcap
