// SPDX-License-Identifier: BSD-3-Clause
#include "device/record_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/open_file.hpp"

namespace pollux {
namespace {

using Kind = RecordEvent::Kind;

/// MSI-X allows a function no more vectors.
constexpr std::uint16_t kMaxVectors = 2048;
constexpr std::uint64_t kMaxBarBytes = std::uint64_t{1} << 40;

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

/// Reads numbers from a span of bytes. After a read past the end, `good` returns false and all reads return 0.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

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

/// Calls `field` with each number of a header that the file has between its version and the length of the name.
template <class Header, class Field>
void for_each_number(Header& header, Field field) {
  field(header.identity.vendor);
  field(header.identity.device);
  field(header.identity.subsystem_vendor);
  field(header.identity.subsystem_device);
  field(header.identity.revision);
  field(header.vectors);
  for (auto& bar : header.bars) field(bar);
}

/// The same for an event, after its kind and before the length of its payload. The second argument has the type that
/// the number has in the file, where that differs.
template <class Event, class Field>
void for_each_number(Event& event, std::uint32_t version, Field field) {
  switch (event.kind) {
    case Kind::read:
    case Kind::write:
      field(event.bar);
      if (version > 1) field(event.width);
      field(event.offset);
      field(event.value);
      break;
    case Kind::write_back:
      field(event.bar);
      field(event.queue);
      field(event.slot);
      if (version > 2) field(event.words);
      for (std::size_t i = 0; i < event.words && i < event.descriptor.words.size(); ++i) {
        field(event.descriptor.words[i]);
      }
      break;
    case Kind::flush: field(event.value); break;
    case Kind::interrupt: field(event.queue); break;
    case Kind::config_read:
    case Kind::config_write:
      field(event.offset, std::uint16_t{});
      field(event.bar);
      field(event.outcome);
      field(event.value);
      break;
    case Kind::bus_master:
      field(event.bar);
      field(event.outcome);
      break;
    case Kind::reset: field(event.outcome); break;
    case Kind::interrupts_on:
      field(event.queue);
      field(event.outcome);
      break;
    case Kind::removed:
    case Kind::end: break;
  }
}

/// For for_each_number: writes each.
auto appends_to(std::vector<std::byte>& bytes) {
  return [&bytes]<class Number, class InFile = Number>(const Number& number, InFile = {}) {
    append(bytes, static_cast<InFile>(number));
  };
}
/// Reads each.
auto takes_from(ByteReader& reader) {
  return [&reader]<class Number, class InFile = Number>(Number & number, InFile = {}) {
    number = reader.take<InFile>();
  };
}

bool is_code(std::uint8_t outcome) noexcept {
  return outcome <= 1 + static_cast<std::uint8_t>(ErrorCode::in_use_by_host);
}

bool is_width(std::uint8_t bytes) noexcept { return bytes == 1 || bytes == 2 || bytes == 4; }

bool is_valid(const RecordEvent& event) noexcept {
  switch (event.kind) {
    case Kind::read:
    case Kind::write: return event.bar < 6 && is_width(event.width) && event.offset % event.width == 0;
    case Kind::config_read:
    case Kind::config_write:
      return is_width(event.bar) && event.offset % event.bar == 0 && event.offset < 4096 && is_code(event.outcome);
    case Kind::bus_master: return event.bar <= 1 && is_code(event.outcome);
    case Kind::reset: return is_code(event.outcome);
    case Kind::flush: return event.value != 0;
    case Kind::interrupts_on: return event.queue <= kMaxVectors && is_code(event.outcome);
    default: return true;
  }
}

}  // namespace

Result<RecordWriter> RecordWriter::create(const std::string& file, const RecordHeader& header) {
  auto opened = open_output_file(file, "record");
  if (!opened) return pass_on(std::move(opened));
  std::unique_ptr<std::FILE, Close> handle(::fdopen(opened->get(), "wb"));
  if (handle == nullptr) return fail_errno(ErrorCode::io_error, fmt::format("record: {}", file), errno);
  static_cast<void>(opened->release());  // the stream closes it
  std::vector<std::byte> bytes;
  append(bytes, RecordReader::kMagic);
  append(bytes, RecordHeader::kVersion);
  for_each_number(header, appends_to(bytes));
  const std::string_view name = std::string_view(header.name).substr(0, 0xFFFF);
  append(bytes, static_cast<std::uint16_t>(name.size()));
  append(bytes, name);
  RecordWriter writer(file, std::move(handle));
  writer.put(bytes);
  if (std::fflush(writer.file_.get()) != 0 && writer.error_ == 0) writer.error_ = errno;
  if (const auto failure = writer.failure()) return tl::unexpected<Error>(*failure);
  return writer;
}

std::optional<Error> RecordWriter::failure() const {
  if (error_ == 0) return std::nullopt;
  return fail_errno(ErrorCode::io_error, fmt::format("record: cannot write {}", path_), error_,
                    "the recording is incomplete; record to a file system with free space")
      .value();
}

RecordWriter::~RecordWriter() { finish(); }

void RecordWriter::finish() {
  if (file_ == nullptr) return;
  add({.kind = Kind::end});
  if (std::fclose(file_.release()) != 0 && error_ == 0) error_ = errno;
}

void RecordWriter::put(const std::vector<std::byte>& bytes) {
  if (error_ != 0) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) error_ = errno;
}

void RecordWriter::add(const RecordEvent& event) {
  buffer_.clear();
  append(buffer_, static_cast<std::uint8_t>(event.kind));
  for_each_number(event, RecordHeader::kVersion, appends_to(buffer_));
  if (event.kind == Kind::write_back) {
    for (const RecordedBuffer& buffer : kRecordedBuffers) {
      const std::span<const std::byte> bytes = event.*buffer.bytes;
      append(buffer_, static_cast<std::uint32_t>(bytes.size()));
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
  }
  put(buffer_);
}

bool RecordReader::has_magic(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<RecordReader> RecordReader::open(std::vector<std::byte> bytes) {
  RecordReader reader(std::move(bytes));
  if (auto header = reader.parse_header(); !header) return pass_on(std::move(header));
  if (auto all = reader.check_all(); !all) return pass_on(std::move(all));
  return reader;
}

Result<void> RecordReader::parse_header() {
  if (!has_magic(bytes_)) {
    return fail(ErrorCode::invalid_argument, "this is not a recording", "make one with record:FILE,DEVICE");
  }
  ByteReader reader(bytes_);
  static_cast<void>(reader.take(kMagic.size()));
  version_ = reader.take<std::uint32_t>();
  if (reader.good() && (version_ == 0 || version_ > RecordHeader::kVersion)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the recording has version {}; this release reads versions 1 to {}", version_,
                            RecordHeader::kVersion),
                "replay it with the release that made it");
  }
  for_each_number(header_, takes_from(reader));
  const bool valid = header_.vectors <= kMaxVectors &&
                     std::ranges::all_of(header_.bars, [](std::uint64_t bar) { return bar <= kMaxBarBytes; });
  const auto name = reader.take(reader.take<std::uint16_t>());
  if (!reader.good() || !valid) {
    return fail(ErrorCode::invalid_argument, "the recording's header is damaged", "use an undamaged copy");
  }
  header_.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  at_ = bytes_.size() - reader.left();
  return {};
}

RecordReader::Outcome RecordReader::parse_event(RecordEvent& event) noexcept {
  ByteReader reader(std::span<const std::byte>(bytes_).subspan(at_));
  event = {};
  event.kind = static_cast<Kind>(reader.take<std::uint8_t>());
  if (event.kind < Kind::read || event.kind > Kind::end) return reader.good() ? Outcome::damaged : Outcome::cut_off;
  if (event.kind == Kind::write_back) event.words = 2;  // unless the version has their number
  for_each_number(event, version_, takes_from(reader));
  if (event.kind == Kind::write_back) {
    if (event.words > event.descriptor.words.size()) return Outcome::damaged;
    for (const RecordedBuffer& buffer : kRecordedBuffers) {
      if (version_ < 4 && buffer.bytes == &RecordEvent::header) break;
      const auto count = reader.take<std::uint32_t>();
      if (count > RecordEvent::kMaxPayload) return Outcome::damaged;
      event.*buffer.bytes = reader.take(count);
    }
  }
  if (!reader.good()) return Outcome::cut_off;
  if (!is_valid(event)) return Outcome::damaged;
  at_ = bytes_.size() - reader.left();
  return Outcome::event;
}

// Rejects a damaged file before its first event is used. Sets `complete_`.
Result<void> RecordReader::check_all() {
  const std::size_t first = at_;
  RecordEvent event;
  for (std::uint64_t count = 0;; ++count) {
    const Outcome outcome = parse_event(event);
    if (outcome == Outcome::damaged) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the recording is damaged at byte {} (event {})", at_, count), "use an undamaged copy");
    }
    if (outcome == Outcome::cut_off) break;
    if (event.kind != Kind::end) continue;
    if (at_ != bytes_.size()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the recording continues after its end mark, at byte {}", at_), "use an undamaged copy");
    }
    complete_ = true;
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

Result<void> MemoryMap::map(const DmaSegment& segment) {
  const std::lock_guard lock(mutex_);
  segments_[segment.iova] = segment;
  return {};
}

Result<void> MemoryMap::unmap(const DmaSegment& segment) {
  const std::lock_guard lock(mutex_);
  segments_.erase(segment.iova);
  return {};
}

std::byte* MemoryMap::at(std::uint64_t iova, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto after = segments_.upper_bound(iova);
  if (after == segments_.begin()) return nullptr;
  const DmaSegment& segment = std::prev(after)->second;
  const std::uint64_t from = iova - segment.iova;
  if (from >= segment.size || bytes > segment.size - from) return nullptr;
  return segment.address + from;
}

Result<void> check_layout(const CardLayout& layout) {
  constexpr std::uint32_t kWord = sizeof(std::uint64_t);
  constexpr std::uint32_t kMost = RawDescriptor{}.words.size() * kWord;
  for (const RingRegisters& ring : layout.rings) {
    const std::uint32_t bytes = ring.descriptor_bytes;
    if (bytes != 0 && bytes % kWord == 0 && bytes <= kMost) continue;
    return fail(ErrorCode::invalid_argument, fmt::format("the card's layout has descriptors of {} bytes", bytes),
                fmt::format("set RingRegisters::descriptor_bytes to a multiple of {}, at most {}", kWord, kMost));
  }
  return {};
}

std::optional<RingRegister> find_ring_register(const CardLayout& layout, std::uint32_t offset) noexcept {
  for (std::size_t kind = 0; kind < layout.rings.size(); ++kind) {
    const RingRegisters& ring = layout.rings[kind];
    const auto found = [&](std::uint32_t first, RingRegister::Role role) -> std::optional<RingRegister> {
      const std::uint32_t distance = offset - first;
      if (offset < first || distance % ring.stride != 0 || distance / ring.stride >= ring.queues) return std::nullopt;
      return RingRegister{role, static_cast<std::uint8_t>(kind), static_cast<std::uint16_t>(distance / ring.stride)};
    };
    if (const auto tail = found(ring.tail, RingRegister::Role::tail)) return tail;
    if (const auto low = found(ring.base_low, RingRegister::Role::base_low)) return low;
    if (const auto high = found(ring.base_high, RingRegister::Role::base_high)) return high;
    if (const auto buffer = found(ring.buffer, RingRegister::Role::buffer); buffer && ring.buffer != 0) return buffer;
    if (const auto length = found(ring.length, RingRegister::Role::length)) return length;
  }
  return std::nullopt;
}

void DriverRing::write(RingRegister::Role role, std::uint32_t value) noexcept {
  if (role == RingRegister::Role::buffer) {
    buffer_ = value;
    return;
  }
  if (role == RingRegister::Role::base_low) base_low_ = value;
  if (role == RingRegister::Role::base_high) base_high_ = value;
  if (role == RingRegister::Role::length) length_ = value;
  armed_ = {};
  tail_ = 0;
}

bool DriverRing::locate(const MemoryMap& memory, std::uint32_t max_descriptors) {
  if (is_ready()) return true;
  const std::size_t count = length_ / descriptor_bytes_;
  const std::uint64_t base = std::uint64_t{base_high_} << 32 | base_low_;
  if (count == 0 || count > max_descriptors || base % sizeof(std::uint64_t) != 0) return false;
  std::byte* const first = memory.at(base, count * descriptor_bytes_);
  if (first == nullptr) return false;
  descriptors_ = DescriptorArray(first, descriptor_bytes_);
  armed_.assign(count, {});
  return true;
}

RawDescriptor DescriptorArray::load(std::size_t slot) const noexcept {
  RawDescriptor descriptor;
  const std::uint64_t* const from = words_ + slot * count_;
  for (std::size_t i = count_; i-- > 0;) descriptor.words[i] = __atomic_load_n(from + i, __ATOMIC_ACQUIRE);
  return descriptor;
}

void DescriptorArray::store(std::size_t slot, const RawDescriptor& descriptor) noexcept {
  std::uint64_t* const to = words_ + slot * count_;
  for (std::size_t i = 0; i < count_; ++i) __atomic_store_n(to + i, descriptor.words[i], __ATOMIC_RELEASE);
}

void DriverRing::write_buffers(const MemoryMap& memory, const CardLayout& layout,
                               const RecordEvent& event) const noexcept {
  for (const RecordedBuffer& buffer : kRecordedBuffers) {
    const std::span<const std::byte> bytes = event.*buffer.bytes;
    const auto room = layout.*buffer.room;
    if (bytes.empty() || room == nullptr || bytes.size() > room(buffer_)) continue;
    std::byte* const to = memory.at(armed(event.slot).words[buffer.word], bytes.size());
    if (to != nullptr) std::memcpy(to, bytes.data(), bytes.size());
  }
}

}  // namespace pollux
