// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "backends/sim/link_partner.hpp"
#include "files/capture_file_writer.hpp"
#include "pollux/files/capture_file_reader.hpp"

namespace pollux::sim {
namespace {

constexpr std::size_t kHeaderBytes = 14;  // of Ethernet
/// Frames that are left out in one call, while the wire's lock is held.
constexpr unsigned kMaxLeftOutPerCall = 256;

/// Sends the frames of one capture file to the card, and writes the card's frames to another one, with the wire's time.
class PcapPartner final : public LinkPartner {
 public:
  [[nodiscard]] Result<void> read(const std::string& path) {
    auto opened = CaptureFileReader::open(path, "pcap-in");
    if (!opened) return pass_on(std::move(opened));
    in_.emplace(*std::move(opened));
    in_path_ = path;
    return {};
  }
  [[nodiscard]] Result<void> write(const std::string& path) {
    auto created = files::CaptureFileWriter::create(path, "pcap-out");
    if (!created) return pass_on(std::move(created));
    out_.emplace(*std::move(created));
    return {};
  }

  // Flushed after each frame, so that a reader sees whole frames while the file is open.
  [[nodiscard]] bool send(std::span<const std::byte> frame, Duration now) noexcept override {
    if (!out_) return true;  // discarded without an output file
    out_->put(frame, now);
    out_failed_ = !out_->flush();
    return !out_failed_;
  }

  [[nodiscard]] std::optional<std::span<const std::byte>> receive(Duration now) noexcept override {
    now_ = now;
    CapturedFrame frame;
    for (unsigned i = 0; in_ && i < kMaxLeftOutPerCall; ++i) {
      switch (in_->next(frame)) {
        case CaptureFileReader::Outcome::frame:
          if (frame.is_whole() && frame.length >= kHeaderBytes) return std::as_bytes(frame.bytes);
          ++left_out_;
          break;
        case CaptureFileReader::Outcome::unreadable: in_failure_ = in_->error(); [[fallthrough]];
        case CaptureFileReader::Outcome::end: in_.reset(); break;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] Duration next() const noexcept override { return in_ ? now_ + kLinkPartnerInterval : Duration::max(); }
  [[nodiscard]] std::uint64_t left_out() const noexcept override { return left_out_; }

  [[nodiscard]] std::optional<WireReport> take_report(bool closing) override {
    if (out_failed_ && !std::exchange(out_reported_, true)) return WireReport{.text = out_->error().message()};
    if (const auto failure = std::exchange(in_failure_, {})) return WireReport{.text = failure->message()};
    if ((in_ && !closing) || left_out_ == left_out_reported_) return std::nullopt;
    left_out_reported_ = left_out_;
    return WireReport{
        .level = LogLevel::warning,
        .text = fmt::format("pcap-in: {}: lost {} frames, of which the file has only a part: capture whole frames "
                            "(tcpdump -s 0)",
                            in_path_, left_out_)};
  }

 private:
  std::optional<CaptureFileReader> in_;
  std::string in_path_;
  std::optional<Error> in_failure_;  // not reported yet
  std::uint64_t left_out_ = 0;
  std::uint64_t left_out_reported_ = 0;
  std::optional<files::CaptureFileWriter> out_;
  bool out_failed_ = false;
  bool out_reported_ = false;
  Duration now_{0};
};

}  // namespace

Result<std::unique_ptr<LinkPartner>> open_pcap_partner(const std::string& in, const std::string& out) {
  auto partner = std::make_unique<PcapPartner>();
  if (!in.empty()) {
    if (auto opened = partner->read(in); !opened) return pass_on(std::move(opened));
  }
  if (!out.empty()) {
    if (auto created = partner->write(out); !created) return pass_on(std::move(created));
  }
  return std::unique_ptr<LinkPartner>(std::move(partner));
}

}  // namespace pollux::sim
