// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/open_pcap.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/uri_options.hpp"
#include "mem/context_state.hpp"
#include "ports/common/port.hpp"
#include "ports/pcap/queues.hpp"

namespace pollux::pcap {
namespace {

constexpr std::string_view kExample =
    "pcap:in=FILE,out=FILE (either may be omitted), with pace=real or loop for the input";
constexpr std::array<std::string_view, 4> kKeys{"in", "out", "pace", "loop"};
constexpr std::array kRxDrops{&RxDrops::too_short, &RxDrops::too_long, &RxDrops::truncated};
constexpr std::array kTxDrops{&TxDrops::no_file, &TxDrops::write_failed};
constexpr ports::PortTraits kTraits{.driver = "pcap",
                                    .what = "capture files",
                                    .limits = software_limits(1, 1),
                                    .offloads = software_offloads(TxOffload::kChecksums),
                                    .rx_drops = kRxDrops,
                                    .tx_drops = kTxDrops};

class PcapPort final : public ports::Port {
 public:
  PcapPort(const ports::PortIdentity& identity, std::optional<CaptureFileReader> reader,
           std::optional<files::CaptureFileWriter> writer, std::unique_ptr<Alarm> alarm, bool loop)
      : ports::Port(identity, kTraits),
        rx_(filter(), context()->clock(), std::move(reader), std::move(alarm), loop),
        tx_(context()->clock(), std::move(writer)) {
    add(rx_);
    add(tx_);
  }

  [[nodiscard]] Result<Duration> service() override {
    log_failures();
    return ports::Port::service();
  }

 private:
  [[nodiscard]] Result<void> begin() override {
    rx_.begin();
    return {};
  }
  void close() override {
    log_failures();
    tx_.end();
  }
  void log_failures() {
    const auto log_once = [this](const std::optional<Error>& failure, bool& logged) {
      if (failure && !std::exchange(logged, true)) context()->log(LogLevel::error, failure->message());
    };
    log_once(rx_.failure(), input_logged_);
    log_once(tx_.failure(), output_logged_);
  }

  RxQueue rx_;
  TxQueue tx_;
  bool input_logged_ = false;
  bool output_logged_ = false;
};

tl::unexpected<Error> reject(std::string_view name, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': {}", name, what), fmt::format("write {}", kExample));
}

/// What the file of a key is opened as; nullopt without that key.
template <class File>
Result<std::optional<File>> open_file(const UriOptions& options, std::string_view key, std::string_view name,
                                      Result<File> (*open)(const std::string& path, std::string_view name)) {
  const auto path = options.get(key);
  if (!path) return std::nullopt;
  auto file = open(std::string(*path), name);
  if (!file) return pass_on(std::move(file));
  return std::optional<File>(*std::move(file));
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_pcap(Context& context, std::string_view which) {
  const std::string name = fmt::format("pcap:{}", which);
  auto options = UriOptions::parse(which, kKeys, name, kExample);
  if (!options) return pass_on(std::move(options));
  const bool has_input = options->has("in");
  if (!has_input && !options->has("out")) return reject(name, "in or out is required");
  if (options->get("in") == "" || options->get("out") == "") return reject(name, "a file name is empty");
  const std::string_view pace = options->get("pace").value_or("none");
  if (pace != "none" && pace != "real") return reject(name, "pace must be real or none");
  const auto loop = options->flag("loop");
  if (!loop) return tl::unexpected<Error>(loop.error());
  if (!has_input && (options->has("pace") || options->has("loop"))) return reject(name, "pace and loop need in=FILE");

  auto reader = open_file(*options, "in", name, &CaptureFileReader::open);
  if (!reader) return pass_on(std::move(reader));
  auto writer = open_file(*options, "out", name, &files::CaptureFileWriter::create);
  if (!writer) return pass_on(std::move(writer));
  std::unique_ptr<Alarm> alarm;
  if (pace == "real") {
    auto made = context.clock().make_alarm();
    if (!made) return pass_on(std::move(made));
    alarm = *std::move(made);
  }
  return ports::make_port<PcapPort>(context, name, ports::mac_for(name), *std::move(reader), *std::move(writer),
                                    std::move(alarm), *loop);
}

}  // namespace pollux::pcap
