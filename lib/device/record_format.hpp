// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "pollux/device/device.hpp"
#include "pollux/device/record.hpp"
#include "pollux/mem/dma_memory.hpp"

/// The file format of a recording: a header, then events up to an end mark. All numbers are little-endian.
///
///     header   8 bytes "POLLUXRC", u32 version, u16 vendor, device, subsystem vendor, subsystem device, u8 revision,
///              u16 interrupt vectors, 6 times u64 bytes of a BAR (0: none), u16 length of the name, the name
///     event    u8 kind, then the fields of that kind (see RecordEvent)
///
/// Version 1 has no width in read and write events: all accesses have 32 bits. In versions 1 and 2 a write-back has two
/// words without their number. Before version 4 it has no headers. All versions are read, version 4 is written. A file
/// has no end mark if its writer was killed. Then a partial event at the end of the file is ignored.
namespace pollux {

struct RecordHeader {
  static constexpr std::uint32_t kVersion = 4;

  PciIdentity identity;
  std::uint16_t vectors = 0;
  std::array<std::uint64_t, 6> bars{};
  std::string name;  ///< of the recorded device
};

/// A descriptor of any format, of up to 64 bytes. Words beyond its end are 0.
struct RawDescriptor {
  std::array<std::uint64_t, 8> words{};
  [[nodiscard]] bool operator==(const RawDescriptor&) const noexcept = default;
};

struct RecordEvent {
  enum class Kind : std::uint8_t {
    read = 1,            ///< u8 bar, u8 width in bytes, u32 offset, u32 value
    write = 2,           ///< the same
    flush = 3,           ///< u32 count of consecutive flushes (polls); the events that follow came with the last one
    write_back = 4,      ///< u8 ring kind, u16 queue, u16 slot, u8 words, u64 each, u32 bytes of the frame, the frame,
                         ///< u32 bytes of its headers in a buffer of their own, the headers
    interrupt = 5,       ///< u16 vector
    removed = 6,         ///< the card has been removed
    config_read = 7,     ///< u16 offset, u8 width, u8 outcome, u32 value
    config_write = 8,    ///< the same
    bus_master = 9,      ///< u8 on, u8 outcome
    reset = 10,          ///< u8 outcome
    interrupts_on = 11,  ///< u16 count, u8 outcome
    end = 12,
  };
  static constexpr std::uint32_t kMaxPayload = 16384;

  Kind kind = Kind::end;
  std::uint8_t bar = 0;      ///< or the ring kind, the width, or 1 if bus mastering is enabled
  std::uint8_t width = 4;    ///< of a register access, in bytes: 1, 2 or 4
  std::uint8_t outcome = 0;  ///< 0: success; else 1 + ErrorCode
  std::uint16_t queue = 0;   ///< or the vector, or the count
  std::uint16_t slot = 0;
  std::uint32_t offset = 0;
  std::uint32_t value = 0;
  std::uint8_t words = 0;  ///< of `descriptor`
  RawDescriptor descriptor{};
  std::span<const std::byte> payload{};
  std::span<const std::byte> header{};
};

/// Whether the card caused the event, and not a call by the driver.
[[nodiscard]] constexpr bool is_from_card(RecordEvent::Kind kind) noexcept {
  return kind == RecordEvent::Kind::write_back || kind == RecordEvent::Kind::interrupt ||
         kind == RecordEvent::Kind::removed;
}

/// Writes a recording to a file. After a failed write nothing more is written.
class RecordWriter {
 public:
  /// Errors: those of open_output_file; io_error if the header cannot be written.
  [[nodiscard]] static Result<RecordWriter> create(const std::string& file, const RecordHeader& header);
  RecordWriter(RecordWriter&&) noexcept = default;
  RecordWriter& operator=(RecordWriter&&) = delete;
  /// Calls `finish`.
  ~RecordWriter();

  void add(const RecordEvent& event);
  /// Writes the end mark and what is buffered. Call it once, after the last event.
  void finish();
  /// Why the recording is incomplete; nullopt: it is not so far.
  [[nodiscard]] std::optional<Error> failure() const;

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  RecordWriter(std::string path, std::unique_ptr<std::FILE, Close> file)
      : path_(std::move(path)), file_(std::move(file)) {}
  void put(const std::vector<std::byte>& bytes);

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<std::byte> buffer_;
  int error_ = 0;  // errno of the first failed write
};

/// Reads a recording from memory. The bytes are untrusted: every length and number is checked before use.
class RecordReader {
 public:
  static constexpr std::string_view kMagic = "POLLUXRC";

  /// Whether a file that begins with these bytes may be a recording.
  [[nodiscard]] static bool has_magic(std::span<const std::byte> bytes) noexcept;
  /// Checks the whole recording. Error: invalid_argument, with the offset of the first invalid byte.
  [[nodiscard]] static Result<RecordReader> open(std::vector<std::byte> bytes);

  [[nodiscard]] const RecordHeader& header() const noexcept { return header_; }
  /// The next event, without consuming it; an event of kind `end` after the last one. The reader owns its payload.
  [[nodiscard]] const RecordEvent& peek() const noexcept { return next_; }
  void advance() noexcept;
  /// Whether the next event or a later one is `wanted`.
  [[nodiscard]] bool any_left(const std::function<bool(const RecordEvent&)>& wanted) {
    const auto [at, position, next] = std::tuple(at_, position_, next_);
    while (next_.kind != RecordEvent::Kind::end && !wanted(next_)) advance();
    const bool found = next_.kind != RecordEvent::Kind::end;
    std::tie(at_, position_, next_) = std::tuple(at, position, next);
    return found;
  }
  /// Number of events consumed.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  /// Whether the file has its end mark.
  [[nodiscard]] bool complete() const noexcept { return complete_; }

 private:
  explicit RecordReader(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  enum class Outcome : std::uint8_t { event, cut_off, damaged };
  [[nodiscard]] Result<void> parse_header();
  [[nodiscard]] Outcome parse_event(RecordEvent& event) noexcept;
  [[nodiscard]] Result<void> check_all();

  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
  std::uint32_t version_ = RecordHeader::kVersion;
  RecordHeader header_;
  RecordEvent next_;
  std::uint64_t position_ = 0;
  bool complete_ = false;
};

/// A DMA domain without a device. It maps IOVAs of the Context's memory to addresses in this process.
/// Thread rule: any thread.
class MemoryMap final : public DmaDomain {
 public:
  [[nodiscard]] std::string_view name() const override { return "record and replay"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

  /// The address of `bytes` bytes at `iova`; nullptr if any of them is not mapped.
  [[nodiscard]] std::byte* at(std::uint64_t iova, std::size_t bytes) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, DmaSegment> segments_;
};

/// Checks that descriptors have a size which recordings hold. Error invalid_argument.
[[nodiscard]] Result<void> check_layout(const CardLayout& layout);

/// A buffer of an armed receive descriptor, and how the layout describes it.
struct RecordedBuffer {
  std::size_t word;  ///< of the descriptor: its address
  std::span<const std::byte> RecordEvent::*bytes;
  std::uint32_t (*CardLayout::*room)(std::uint32_t) noexcept;
  std::uint32_t (*CardLayout::*used)(std::span<const std::uint64_t>) noexcept;
};
inline constexpr std::array<RecordedBuffer, 2> kRecordedBuffers{
    {{0, &RecordEvent::payload, &CardLayout::buffer_bytes, &CardLayout::payload},
     {1, &RecordEvent::header, &CardLayout::header_buffer_bytes, &CardLayout::header}}};

/// Descriptors of one size in memory that a card and a driver share.
class DescriptorArray {
 public:
  DescriptorArray() = default;
  DescriptorArray(std::byte* memory, std::uint32_t descriptor_bytes) noexcept
      : words_(reinterpret_cast<std::uint64_t*>(memory)), count_(descriptor_bytes / sizeof(std::uint64_t)) {}

  /// The words of a descriptor.
  [[nodiscard]] std::uint8_t words() const noexcept { return static_cast<std::uint8_t>(count_); }
  /// Reads the word with the status, which is the last one, first.
  [[nodiscard]] RawDescriptor load(std::size_t slot) const noexcept;
  /// Stores a write-back in the card's order: the word with the status last.
  void store(std::size_t slot, const RawDescriptor& descriptor) noexcept;

 private:
  std::uint64_t* words_ = nullptr;
  std::size_t count_ = 0;
};

/// Identifies a register of a ring.
struct RingRegister {
  enum class Role : std::uint8_t { base_low, base_high, length, tail, buffer };
  Role role = Role::tail;
  std::uint8_t kind = 0;  ///< index into CardLayout::rings
  std::uint16_t queue = 0;

  [[nodiscard]] bool is_base() const noexcept { return role == Role::base_low || role == Role::base_high; }
};
[[nodiscard]] std::optional<RingRegister> find_ring_register(const CardLayout& layout, std::uint32_t offset) noexcept;

/// The driver's view of a ring: the values that it wrote to the ring's registers, and its descriptors.
class DriverRing {
 public:
  explicit DriverRing(std::uint32_t descriptor_bytes) noexcept : descriptor_bytes_(descriptor_bytes) {}

  /// The driver writes a ring register other than the tail. A new base or length starts a new ring.
  void write(RingRegister::Role role, std::uint32_t value) noexcept;
  /// The driver writes the tail. Calls `on_armed` with each slot that this passes to the card. Does nothing if the ring
  /// is not valid or the tail is out of range.
  template <class OnArmed>
  void move_tail(const MemoryMap& memory, std::uint32_t max_descriptors, std::uint32_t tail, OnArmed on_armed) {
    if (!locate(memory, max_descriptors) || tail >= size()) return;
    for (; tail_ != tail; tail_ = (tail_ + 1) % size()) {
      armed_[tail_] = descriptors_.load(tail_);
      on_armed(static_cast<std::uint16_t>(tail_));
    }
  }

  [[nodiscard]] bool is_ready() const noexcept { return !armed_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return armed_.size(); }
  /// The descriptor as the driver armed it. Precondition: `slot` is below size().
  [[nodiscard]] const RawDescriptor& armed(std::uint16_t slot) const noexcept { return armed_[slot]; }
  [[nodiscard]] DescriptorArray& descriptors() noexcept { return descriptors_; }
  /// Writes what a recorded write-back has into the buffers of its slot, which is below size(). The file is untrusted,
  /// so only mapped memory is written, and no more than the buffer size that the driver configured.
  void write_buffers(const MemoryMap& memory, const CardLayout& layout, const RecordEvent& event) const noexcept;
  /// The value that the driver wrote to the register RingRegisters::buffer.
  [[nodiscard]] std::uint32_t buffer() const noexcept { return buffer_; }
  [[nodiscard]] std::uint32_t base(RingRegister::Role role) const noexcept {
    return role == RingRegister::Role::base_low ? base_low_ : base_high_;
  }

 private:
  [[nodiscard]] bool locate(const MemoryMap& memory, std::uint32_t max_descriptors);

  std::uint32_t descriptor_bytes_;
  std::uint32_t base_low_ = 0;
  std::uint32_t base_high_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t buffer_ = 0;
  std::size_t tail_ = 0;
  DescriptorArray descriptors_;
  std::vector<RawDescriptor> armed_;  // empty until the ring is used
};

}  // namespace pollux
