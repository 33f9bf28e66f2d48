// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>

#include "backends/sim/link_partner.hpp"

namespace pollux::sim {
namespace {

struct Close {
  void operator()(pcap_t* file) const noexcept { pcap_close(file); }
  void operator()(pcap_dumper_t* file) const noexcept { pcap_dump_close(file); }
};
using Reader = std::unique_ptr<pcap_t, Close>;
using Writer = std::unique_ptr<pcap_dumper_t, Close>;

/// Sends the frames of one capture file to the card, and writes the card's frames to another one, with the wire's time.
class PcapPartner final : public LinkPartner {
 public:
  PcapPartner(Reader in, Reader format, Writer out)
      : in_(std::move(in)), format_(std::move(format)), out_(std::move(out)) {}

  [[nodiscard]] bool send(std::span<const std::byte> frame, Duration now) noexcept override {
    if (out_ == nullptr) return true;  // discarded: no output file
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
    pcap_pkthdr header{};
    header.ts.tv_sec = seconds.count();
    header.ts.tv_usec = (now - seconds).count();  // nanoseconds, as set in the file's header
    header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
    pcap_dump(reinterpret_cast<u_char*>(out_.get()), &header, reinterpret_cast<const u_char*>(frame.data()));
    // Flushed after each frame, so that a reader sees whole frames while the card is open.
    return pcap_dump_flush(out_.get()) == 0;
  }

  [[nodiscard]] std::optional<std::span<const std::byte>> receive(Duration now) noexcept override {
    now_ = now;
    if (in_ == nullptr) return std::nullopt;
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    if (pcap_next_ex(in_.get(), &header, &bytes) != 1) {  // end of file, or a truncated file
      in_.reset();
      return std::nullopt;
    }
    return std::span(reinterpret_cast<const std::byte*>(bytes), header->caplen);
  }

  [[nodiscard]] Duration next() const noexcept override {
    return in_ == nullptr ? Duration::max() : now_ + kLinkPartnerInterval;
  }

 private:
  Reader in_;
  Reader format_;  // format of `out_`; outlives it
  Writer out_;
  Duration now_{0};
};

/// Opens a regular file. libpcap does not open it, because libpcap treats "-" as a standard stream and leaves
/// descriptors open across exec. A pipe is rejected, because the card would block on its other end.
std::FILE* open_file(const std::string& path, const char* mode) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    errno = EINVAL;
    return nullptr;
  }
  return std::fopen(path.c_str(), mode);
}

Result<Reader> open_reader(const std::string& path) {
  std::FILE* const file = open_file(path, "rbe");
  if (file == nullptr) {
    return fail_errno(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io_error, fmt::format("pcap-in={}", path),
                      errno, "use a capture file that exists and is readable");
  }
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  Reader reader(pcap_fopen_offline(file, error.data()));
  if (reader == nullptr) {
    static_cast<void>(std::fclose(file));
    return fail(ErrorCode::invalid_argument, fmt::format("pcap-in={}: {}", path, error.data()),
                "use a capture file (pcap or pcapng)");
  }
  if (pcap_datalink(reader.get()) != DLT_EN10MB) {
    return fail(ErrorCode::invalid_argument, fmt::format("pcap-in={}: its frames are not Ethernet frames", path),
                "capture on an Ethernet interface (tcpdump -i eth0 -w FILE)");
  }
  return reader;
}

}  // namespace

Result<std::unique_ptr<LinkPartner>> open_pcap_partner(const std::string& in, const std::string& out) {
  Reader reader;
  if (!in.empty()) {
    auto opened = open_reader(in);
    if (!opened) return pass_on(std::move(opened));
    reader = *std::move(opened);
  }
  Reader format;
  Writer writer;
  if (!out.empty()) {
    format.reset(pcap_open_dead_with_tstamp_precision(DLT_EN10MB, static_cast<int>(kLinkPartnerFrameBytes),
                                                      PCAP_TSTAMP_PRECISION_NANO));
    std::FILE* const file = open_file(out, "wbe");
    if (file == nullptr) {
      return fail_errno(ErrorCode::io_error, fmt::format("pcap-out={}", out), errno, "use a writable file");
    }
    writer.reset(format == nullptr ? nullptr : pcap_dump_fopen(format.get(), file));
    if (writer == nullptr) {
      static_cast<void>(std::fclose(file));
      return fail(ErrorCode::io_error, fmt::format("pcap-out={}: the file's header cannot be written", out),
                  "check whether the disk is full");
    }
  }
  return std::unique_ptr<LinkPartner>(
      std::make_unique<PcapPartner>(std::move(reader), std::move(format), std::move(writer)));
}

}  // namespace pollux::sim
