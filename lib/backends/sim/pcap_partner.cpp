// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <pcap/pcap.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "backends/sim/capture_file.hpp"
#include "backends/sim/link_partner.hpp"

namespace pollux::sim {
namespace {

using Reader = std::unique_ptr<pcap_t, PcapClose>;

/// Sends the frames of one capture file to the card, and writes the card's frames to another one, with the wire's time.
class PcapPartner final : public LinkPartner {
 public:
  PcapPartner(Reader in, std::unique_ptr<CaptureFile> out) : in_(std::move(in)), out_(std::move(out)) {}

  [[nodiscard]] bool send(std::span<const std::byte> frame, Duration now) noexcept override {
    return out_ == nullptr || out_->write(frame, now);  // discarded without an output file
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
  std::unique_ptr<CaptureFile> out_;
  Duration now_{0};
};

Result<Reader> open_reader(const std::string& path) {
  std::FILE* const file = open_regular_file(path, "rbe");
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
  std::unique_ptr<CaptureFile> writer;
  if (!out.empty()) {
    auto created = CaptureFile::create("pcap-out", out);
    if (!created) return pass_on(std::move(created));
    writer = *std::move(created);
  }
  return std::unique_ptr<LinkPartner>(std::make_unique<PcapPartner>(std::move(reader), std::move(writer)));
}

}  // namespace pollux::sim
