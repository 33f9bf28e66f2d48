// SPDX-License-Identifier: BSD-3-Clause
#include "device/record_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace pollux {
namespace {

using Kind = RecordEvent::Kind;

constexpr std::string_view kMagic = "POLLUXRC";
/// A host bridge of any width has fewer.
constexpr std::uint16_t kMostVectors = 2048;
constexpr std::uint64_t kMostBarBytes = std::uint64_t{1} << 40;

template <class Number>
void append(std::vector<std::byte>& to, Number number) {
  for (std::size_t i = 0; i < sizeof number; ++i) {
    to.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(number) >> (8 * i)));
  }
}

void append(std::vector<std::byte>& to, std::string_view text) {
  const auto* const first = reinterpret_cast<const std::byte*>(text.data());
  to.insert(to.end(), first, first + text.size());
}

/// Takes numbers off the front of some bytes. After one that was not there all are 0 and `good` is false.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class Number>
  Number take() noexcept {
    std::uint64_t number = 0;
    const auto bytes = take(sizeof(Number));
    for (std::size_t i = 0; i < bytes.size(); ++i) number |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return static_cast<Number>(number);
  }
  std::span<const std::byte> take(std::size_t count) noexcept {
    if (!good_ || count > rest_.size()) {
      good_ = false;
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  [[nodiscard]] bool good() const noexcept { return good_; }
  [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool good_ = true;
};

bool is_code(std::uint8_t outcome) noexcept {
  return outcome <= 1 + static_cast<std::uint8_t>(ErrorCode::in_use_by_host);
}

bool is_sound(const RecordEvent& event) noexcept {
  switch (event.kind) {
    case Kind::read:
    case Kind::write: return event.bar < 6 && event.offset % 4 == 0;
    case Kind::config_read:
    case Kind::config_write:
      return (event.bar == 1 || event.bar == 2 || event.bar == 4) && event.offset % event.bar == 0 &&
             event.offset < 4096 && is_code(event.outcome);
    case Kind::bus_master: return event.bar <= 1 && is_code(event.outcome);
    case Kind::reset: return is_code(event.outcome);
    case Kind::flush: return event.value != 0;
    case Kind::interrupts_on: return event.queue <= kMostVectors && is_code(event.outcome);
    default: return true;
  }
}

}  // namespace

Result<RecordWriter> RecordWriter::create(const std::string& file, const RecordHeader& header) {
  std::unique_ptr<std::FILE, Close> handle(std::fopen(file.c_str(), "wbe"));
  if (handle == nullptr) {
    const bool denied = errno == EACCES || errno == EPERM;
    return fail_errno(denied ? ErrorCode::permission_denied : ErrorCode::io_error, fmt::format("cannot write {}", file),
                      errno, "record to a file in a directory that exists and is yours");
  }
  std::vector<std::byte> bytes;
  append(bytes, kMagic);
  append(bytes, RecordHeader::kVersion);
  append(bytes, header.identity.vendor);
  append(bytes, header.identity.device);
  append(bytes, header.identity.subsystem_vendor);
  append(bytes, header.identity.subsystem_device);
  append(bytes, header.identity.revision);
  append(bytes, header.vectors);
  for (const std::uint64_t bar : header.bars) append(bytes, bar);
  const std::string_view name = std::string_view(header.name).substr(0, 0xFFFF);
  append(bytes, static_cast<std::uint16_t>(name.size()));
  append(bytes, name);
  RecordWriter writer(std::move(handle));
  writer.put(bytes);
  return writer;
}

RecordWriter::~RecordWriter() {
  if (file_ != nullptr) add({.kind = Kind::end});
}

void RecordWriter::put(const std::vector<std::byte>& bytes) {
  good_ = good_ && std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size();
}

void RecordWriter::add(const RecordEvent& event) {
  line_.clear();
  append(line_, static_cast<std::uint8_t>(event.kind));
  switch (event.kind) {
    case Kind::read:
    case Kind::write:
      append(line_, event.bar);
      append(line_, event.offset);
      append(line_, event.value);
      break;
    case Kind::write_back:
      append(line_, event.bar);
      append(line_, event.queue);
      append(line_, event.slot);
      append(line_, event.low);
      append(line_, event.high);
      append(line_, static_cast<std::uint32_t>(event.payload.size()));
      line_.insert(line_.end(), event.payload.begin(), event.payload.end());
      break;
    case Kind::flush: append(line_, event.value); break;
    case Kind::interrupt: append(line_, event.queue); break;
    case Kind::config_read:
    case Kind::config_write:
      append(line_, static_cast<std::uint16_t>(event.offset));
      append(line_, event.bar);
      append(line_, event.outcome);
      append(line_, event.value);
      break;
    case Kind::bus_master:
      append(line_, event.bar);
      append(line_, event.outcome);
      break;
    case Kind::reset: append(line_, event.outcome); break;
    case Kind::interrupts_on:
      append(line_, event.queue);
      append(line_, event.outcome);
      break;
    case Kind::removed:
    case Kind::end: break;
  }
  put(line_);
}

Result<RecordReader> RecordReader::open(std::vector<std::byte> bytes) {
  RecordReader reader(std::move(bytes));
  if (auto header = reader.parse_header(); !header) return pass_on(std::move(header));
  if (auto all = reader.check_all(); !all) return pass_on(std::move(all));
  return reader;
}

Result<void> RecordReader::parse_header() {
  Taker taker(bytes_);
  const auto magic = taker.take(kMagic.size());
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin(), kMagic.end(),
                  [](std::byte a, char b) { return std::to_integer<char>(a) == b; })) {
    return fail(ErrorCode::invalid_argument, "this is no recording", "make one with record:FILE,DEVICE");
  }
  const auto version = taker.take<std::uint32_t>();
  if (taker.good() && version != RecordHeader::kVersion) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the recording is of version {}, and version {} is known", version, RecordHeader::kVersion),
                "replay it with the release that made it");
  }
  header_.identity.vendor = taker.take<std::uint16_t>();
  header_.identity.device = taker.take<std::uint16_t>();
  header_.identity.subsystem_vendor = taker.take<std::uint16_t>();
  header_.identity.subsystem_device = taker.take<std::uint16_t>();
  header_.identity.revision = taker.take<std::uint8_t>();
  header_.vectors = taker.take<std::uint16_t>();
  bool sound = header_.vectors <= kMostVectors;
  for (std::uint64_t& bar : header_.bars) {
    bar = taker.take<std::uint64_t>();
    sound = sound && bar <= kMostBarBytes;
  }
  const auto name = taker.take(taker.take<std::uint16_t>());
  if (!taker.good() || !sound) {
    return fail(ErrorCode::invalid_argument, "the recording's header is damaged", "take an undamaged copy");
  }
  header_.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  at_ = bytes_.size() - taker.left();
  return {};
}

RecordReader::Outcome RecordReader::parse_event(RecordEvent& event) noexcept {
  Taker taker(std::span<const std::byte>(bytes_).subspan(at_));
  event = {};
  event.kind = static_cast<Kind>(taker.take<std::uint8_t>());
  switch (event.kind) {
    case Kind::read:
    case Kind::write:
      event.bar = taker.take<std::uint8_t>();
      event.offset = taker.take<std::uint32_t>();
      event.value = taker.take<std::uint32_t>();
      break;
    case Kind::write_back: {
      event.bar = taker.take<std::uint8_t>();
      event.queue = taker.take<std::uint16_t>();
      event.slot = taker.take<std::uint16_t>();
      event.low = taker.take<std::uint64_t>();
      event.high = taker.take<std::uint64_t>();
      const auto count = taker.take<std::uint32_t>();
      if (count > RecordEvent::kMostPayload) return Outcome::damaged;
      event.payload = taker.take(count);
      break;
    }
    case Kind::flush: event.value = taker.take<std::uint32_t>(); break;
    case Kind::interrupt: event.queue = taker.take<std::uint16_t>(); break;
    case Kind::config_read:
    case Kind::config_write:
      event.offset = taker.take<std::uint16_t>();
      event.bar = taker.take<std::uint8_t>();
      event.outcome = taker.take<std::uint8_t>();
      event.value = taker.take<std::uint32_t>();
      break;
    case Kind::bus_master:
      event.bar = taker.take<std::uint8_t>();
      event.outcome = taker.take<std::uint8_t>();
      break;
    case Kind::reset: event.outcome = taker.take<std::uint8_t>(); break;
    case Kind::interrupts_on:
      event.queue = taker.take<std::uint16_t>();
      event.outcome = taker.take<std::uint8_t>();
      break;
    case Kind::removed:
    case Kind::end: break;
    default: return taker.good() ? Outcome::damaged : Outcome::cut_off;
  }
  if (!taker.good()) return Outcome::cut_off;
  if (!is_sound(event)) return Outcome::damaged;
  at_ = bytes_.size() - taker.left();
  return Outcome::event;
}

// A damaged file is refused before the first event of it is used. `whole_` is known after this.
Result<void> RecordReader::check_all() {
  const std::size_t first = at_;
  RecordEvent event;
  for (std::uint64_t count = 0;; ++count) {
    const Outcome outcome = parse_event(event);
    if (outcome == Outcome::damaged) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the recording is damaged at byte {} (event {})", at_, count), "take an undamaged copy");
    }
    if (outcome == Outcome::cut_off) break;
    if (event.kind != Kind::end) continue;
    if (at_ != bytes_.size()) {
      return fail(ErrorCode::invalid_argument, fmt::format("the recording goes on behind its end, at byte {}", at_),
                  "take an undamaged copy");
    }
    whole_ = true;
    break;
  }
  at_ = first;
  if (parse_event(next_) != Outcome::event) next_ = {};
  return {};
}

void RecordReader::advance() noexcept {
  if (next_.kind == Kind::end) return;
  ++position_;
  if (parse_event(next_) != Outcome::event) next_ = {};
}

}  // namespace pollux
