// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "models/virtio/net/card.hpp"

namespace pollux::models::virtio {

constexpr std::uint16_t kRx = 0;  ///< the first pair's queues
constexpr std::uint16_t kTx = 1;
constexpr std::uint8_t kOk = 0;  ///< the answer to a control command that worked

using Bytes = std::vector<std::byte>;

/// Memory that a driver writes by hand.
class HandMemory : public ModelDma {
 public:
  template <class T>
  [[nodiscard]] T get(std::uint64_t iova) {
    T value;
    std::memcpy(&value, translate(iova, sizeof value), sizeof value);
    return value;
  }
  template <class T>
  void put(std::uint64_t iova, const T& value) {
    std::memcpy(translate(iova, sizeof value), &value, sizeof value);
  }
  [[nodiscard]] Bytes bytes(std::uint64_t iova, std::size_t length) {
    return {translate(iova, length), translate(iova, length) + length};
  }
  void put_bytes(std::uint64_t iova, std::span<const std::byte> data) {
    std::memcpy(translate(iova, data.size()), data.data(), data.size());
  }
};

/// Memory from IOVA kBase on. The device can access nothing else.
class TestMemory final : public HandMemory {
 public:
  static constexpr std::uint64_t kBase = 0x100000;

  [[nodiscard]] std::byte* translate(std::uint64_t iova, std::size_t length) noexcept override {
    const bool inside = iova >= kBase && length <= sizeof bytes_ && iova - kBase <= sizeof bytes_ - length;
    return inside ? bytes_ + (iova - kBase) : nullptr;
  }

 private:
  alignas(4096) std::byte bytes_[1 << 20]{};
};

struct Part {
  std::uint64_t iova = 0;
  std::uint32_t length = 0;
  bool writable = false;
};

/// A used entry as the driver sees it.
struct UsedEntry {
  std::uint32_t id = 0;
  std::uint32_t length = 0;
  friend bool operator==(const UsedEntry&, const UsedEntry&) = default;
};

/// A queue as a driver writes it by hand, in either format. Descriptors are used in turn and never reused while they
/// are in use: tests stay within the queue's size.
class HandRing {
 public:
  HandRing(HandMemory& memory, std::uint64_t area, std::uint16_t size, bool packed)
      : memory_(memory), area_(area), size_(size), packed_(packed) {}

  [[nodiscard]] std::uint64_t descriptors() const { return area_; }
  [[nodiscard]] std::uint64_t driver() const { return area_ + 0x1000; }
  [[nodiscard]] std::uint64_t device() const { return area_ + 0x2000; }
  [[nodiscard]] std::uint64_t descriptor(std::uint16_t slot) const { return area_ + slot * 16ULL; }

  /// Makes a chain available; returns its id. `flags` are added to the first descriptor's.
  std::uint16_t add(const std::vector<Part>& parts, std::uint16_t flags = 0) {
    return packed_ ? add_packed(parts, flags) : add_split(parts, flags);
  }
  /// The next used entry that the driver has not seen yet.
  std::optional<UsedEntry> used() { return packed_ ? used_packed() : used_split(); }
  /// Split: makes a descriptor that was written by hand available.
  void publish(std::uint16_t head) {
    memory_.put<std::uint16_t>(driver() + 4 + 2ULL * (available_ % size_), head);
    memory_.put<std::uint16_t>(driver() + 2, ++available_);
  }
  std::uint16_t available() const { return available_; }

 private:
  std::uint16_t add_split(const std::vector<Part>& parts, std::uint16_t flags) {
    const std::uint16_t head = next_;
    std::size_t left = parts.size();
    for (const Part& part : parts) {
      const std::uint16_t slot = next_;
      next_ = static_cast<std::uint16_t>((next_ + 1) % size_);
      const auto more = --left != 0 ? hw::kDescNext : std::uint16_t{0};
      memory_.put(descriptor(slot), hw::SplitDescriptor{part.iova, part.length, flags_of(part, more | flags), next_});
      flags = 0;
    }
    publish(head);
    return head;
  }
  std::uint16_t add_packed(const std::vector<Part>& parts, std::uint16_t flags) {
    const auto id = static_cast<std::uint16_t>(0x100 + ids_++);
    std::size_t left = parts.size();
    for (const Part& part : parts) {
      const auto more = --left != 0 ? hw::kDescNext : std::uint16_t{0};
      const auto all = flags_of(part, more | flags | hw::packed_available(wrap_));
      memory_.put(descriptor(next_), hw::PackedDescriptor{part.iova, part.length, id, all});
      flags = 0;
      if (++next_ == size_) next_ = 0, wrap_ = !wrap_;
    }
    slots_.push_back(static_cast<std::uint16_t>(parts.size()));
    return id;
  }
  static std::uint16_t flags_of(const Part& part, int others) {
    return static_cast<std::uint16_t>(others | (part.writable ? hw::kDescWrite : 0));
  }
  std::optional<UsedEntry> used_split() {
    if (memory_.get<std::uint16_t>(device() + 2) == seen_) return std::nullopt;
    const auto element = memory_.get<hw::UsedElement>(device() + 4 + 8ULL * (seen_++ % size_));
    return UsedEntry{element.id, element.length};
  }
  std::optional<UsedEntry> used_packed() {
    const auto found = memory_.get<hw::PackedDescriptor>(descriptor(seen_));
    if ((found.flags & (hw::kPackedAvail | hw::kPackedUsed)) != hw::packed_used(used_wrap_)) return std::nullopt;
    seen_ = static_cast<std::uint16_t>(seen_ + slots_[done_++]);
    if (seen_ >= size_) seen_ = static_cast<std::uint16_t>(seen_ - size_), used_wrap_ = !used_wrap_;
    return UsedEntry{found.id, found.length};
  }

  HandMemory& memory_;
  std::uint64_t area_;
  std::uint16_t size_;
  bool packed_;
  std::uint16_t next_ = 0, available_ = 0, seen_ = 0;
  bool wrap_ = true, used_wrap_ = true;
  std::uint16_t ids_ = 0;
  std::vector<std::uint16_t> slots_;
  std::size_t done_ = 0;
};

inline constexpr hw::Features kLeast = hw::feature::kVersion1 | hw::feature::kAccessPlatform;

/// A device without a driver: memory, time, rings and registers by hand.
struct DeviceFixture {
  static constexpr std::uint16_t kSize = 16;
  static constexpr std::uint64_t kBuffers = TestMemory::kBase + 0x40000;
  static constexpr std::uint32_t kBufferBytes = 2048;

  explicit DeviceFixture(const CardOptions& options = {}) : card(options) {
    card.set_dma(&memory);
    card.on_transmit([this](std::span<const std::byte> frame) { sent.emplace_back(frame.begin(), frame.end()); });
    card.on_interrupt([this](unsigned vector) { messages.push_back(vector); });
    card.set_carrier(true);
    for (unsigned vector = 0; vector < card.interrupt_vectors(); ++vector)
      card.write32(Card::kMsixBar, vector * 16 + 12, 0);
  }

  template <class R>
  [[nodiscard]] std::uint32_t read(std::uint32_t index = 0) {
    return card.read(Card::kBar, R::offset(index), R::kBytes);
  }
  template <class R>
  void write(std::uint32_t value, std::uint32_t index = 0) {
    card.write(Card::kBar, R::offset(index), R::kBytes, value);
  }
  template <class R>
  [[nodiscard]] std::uint32_t config(std::uint32_t index = 0) {
    return card.read(Card::kBar, Card::kDevice + R::offset(index), R::kBytes);
  }
  [[nodiscard]] hw::Features offered() {
    write<hw::DEVICE_FEATURE_SELECT>(1);
    const auto high = hw::Features{read<hw::DEVICE_FEATURE>()} << 32;
    write<hw::DEVICE_FEATURE_SELECT>(0);
    return high | read<hw::DEVICE_FEATURE>();
  }
  /// Negotiates; false if the device refuses.
  bool negotiate(hw::Features wanted) {
    features = wanted;
    write<hw::DEVICE_STATUS>(0);
    write<hw::DEVICE_STATUS>(0x03);
    write<hw::DRIVER_FEATURE_SELECT>(0);
    write<hw::DRIVER_FEATURE>(static_cast<std::uint32_t>(wanted));
    write<hw::DRIVER_FEATURE_SELECT>(1);
    write<hw::DRIVER_FEATURE>(static_cast<std::uint32_t>(wanted >> 32));
    write<hw::DEVICE_STATUS>(0x0B);
    return (read<hw::DEVICE_STATUS>() & 0x08) != 0;
  }
  HandRing& add_queue(std::uint16_t number) {
    const bool packed = (features & hw::feature::kRingPacked) != 0;
    rings.resize(std::max<std::size_t>(rings.size(), number + 1U));
    rings[number].emplace(memory, TestMemory::kBase + 0x4000 * number, kSize, packed);
    HandRing& ring = *rings[number];
    std::memset(memory.translate(ring.descriptors(), 0x4000), 0, 0x4000);
    write<hw::QUEUE_SELECT>(number);
    write<hw::QUEUE_SIZE>(kSize);
    write<hw::QUEUE_MSIX_VECTOR>(number + 1U);
    write<hw::QUEUE_DESC>(static_cast<std::uint32_t>(ring.descriptors()));
    write<hw::QUEUE_DRIVER>(static_cast<std::uint32_t>(ring.driver()));
    write<hw::QUEUE_DEVICE>(static_cast<std::uint32_t>(ring.device()));
    write<hw::QUEUE_ENABLE>(1);
    return ring;
  }
  /// Negotiates `wanted` besides kLeast and starts with so many pairs and, with CTRL_VQ, the control queue.
  void start(hw::Features wanted = 0, std::uint16_t pairs = 1) {
    negotiate(wanted | kLeast);
    for (std::uint16_t number = 0; number < 2 * pairs; ++number) add_queue(number);
    if ((wanted & hw::feature::kCtrlVq) != 0) add_queue(control_index());
    write<hw::CONFIG_MSIX_VECTOR>(0);
    write<hw::DEVICE_STATUS>(0x0F);
  }
  [[nodiscard]] std::uint16_t control_index() {
    const bool many = (features & (hw::feature::kMq | hw::feature::kRss)) != 0;
    return hw::control_queue_index(many ? config<hw::MAX_VIRTQUEUE_PAIRS>() : 1);
  }
  [[nodiscard]] HandRing& ring(std::uint16_t number) { return *rings[number]; }
  void kick(std::uint16_t queue) { card.write(Card::kBar, Card::kNotify + queue * Card::kNotifyMultiplier, 2, queue); }
  [[nodiscard]] static std::uint64_t buffer(std::uint32_t number) { return kBuffers + number * kBufferBytes; }
  [[nodiscard]] std::size_t header_bytes() const { return (features & hw::feature::kHashReport) != 0 ? 20 : 12; }

  /// Puts a header and a frame into a buffer and sends it from transmit queue `queue`.
  std::uint16_t send(const Bytes& frame, const hw::NetHeader& header = {}, std::uint16_t queue = 1) {
    memory.put(buffer(40), hw::NetHeaderWithHash{header, 0, 0, 0});
    memory.put_bytes(buffer(40) + header_bytes(), frame);
    const auto length = static_cast<std::uint32_t>(header_bytes() + frame.size());
    const std::uint16_t id = ring(queue).add({{buffer(40), length, false}});
    kick(queue);
    return id;
  }
  /// Runs a command of the control queue; the status, or nothing if there is no answer. `result` follows the status.
  std::optional<std::uint8_t> control(std::uint8_t control_class, std::uint8_t command,
                                      const std::vector<std::uint8_t>& data, std::size_t result = 0) {
    std::vector<std::uint8_t> request{control_class, command};
    request.insert(request.end(), data.begin(), data.end());
    memory.put_bytes(buffer(50), std::as_bytes(std::span(request)));
    memory.put<std::uint8_t>(buffer(60), 0xAA);
    const std::uint16_t number = control_index();
    ring(number).add({{buffer(50), static_cast<std::uint32_t>(request.size()), false},
                      {buffer(60), static_cast<std::uint32_t>(1 + result), true}});
    kick(number);
    if (!ring(number).used()) return std::nullopt;
    return memory.get<std::uint8_t>(buffer(60));
  }
  void pass(Duration span) {
    now += span;
    card.advance(now);
  }
  [[nodiscard]] bool needs_reset() { return (read<hw::DEVICE_STATUS>() & 0x40) != 0; }

  /// A broadcast frame whose bytes after the header count up.
  [[nodiscard]] static Bytes frame(std::size_t size,
                                   std::array<std::uint8_t, 6> to = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 & 0xFF);
    std::memcpy(bytes.data(), to.data(), to.size());
    bytes[12] = std::byte{0x88};
    bytes[13] = std::byte{0xB5};
    return bytes;
  }

  TestMemory memory;
  std::vector<Bytes> sent;
  std::vector<unsigned> messages;
  std::vector<std::optional<HandRing>> rings;
  hw::Features features = 0;
  Duration now{0};
  Card card;
};

}  // namespace pollux::models::virtio
