// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"

namespace pollux {

/// Kinds of memory access by a model.
enum class ModelAccess : std::uint8_t {
  descriptor_read,      ///< one descriptor of a ring
  payload_read,         ///< bytes of a frame to transmit
  payload_write,        ///< bytes of a received frame
  receive_write_back,   ///< a whole receive descriptor
  transmit_write_back,  ///< the word of a transmit descriptor that has the done bit
  head_write_back,      ///< the head of a transmit queue, if head write-back is enabled
};

/// A write by a model before it is stored. `bytes` are valid only during the call that passes it.
struct ModelWrite {
  ModelAccess what = ModelAccess::payload_write;  ///< the kind of access
  std::uint32_t queue = 0;                        ///< the queue for which the card writes
  std::uint64_t iova = 0;                         ///< of the first byte
  std::span<const std::byte> bytes;               ///< what is written; at least 1 byte
};

class ModelDma;

/// Intercepts the memory accesses of a model, for tests and fault injection. It can refuse accesses and change writes.
/// Thread rule: called on the thread that runs the model, one at a time, with the backend's lock held.
class POLLUX_API DmaInterceptor {
 public:
  DmaInterceptor() = default;
  DmaInterceptor(const DmaInterceptor&) = delete;
  DmaInterceptor& operator=(const DmaInterceptor&) = delete;
  virtual ~DmaInterceptor() = default;
  /// Called before each access. If it returns false, the access is refused and counted as one to unmapped memory.
  [[nodiscard]] virtual bool allow(ModelAccess /*what*/, std::uint32_t /*queue*/, std::uint64_t /*iova*/,
                                   std::size_t /*length*/) noexcept {
    return true;
  }
  /// Called instead of each allowed write; for a payload that spans mappings, once for each part. It may store this
  /// write, a part of it, another one or none with `memory.store`. It may also copy the bytes and store them later, as
  /// long as the model's DMA is enabled.
  virtual void write(ModelDma& memory, const ModelWrite& write) noexcept;
  /// Called with the model's new time, before the model processes its own events. Store delayed writes here.
  virtual void advance(ModelDma& /*memory*/, Duration /*now*/) noexcept {}
};

/// A model's access to memory. It reaches only what a DMA domain has mapped. The implementation rejects, counts and
/// reports every other access.
class POLLUX_API ModelDma {
 public:
  ModelDma() = default;
  ModelDma(const ModelDma&) = delete;
  ModelDma& operator=(const ModelDma&) = delete;
  virtual ~ModelDma() = default;
  /// The address in this process of `length` bytes at `iova`; nullptr if the model may not read and write all of them,
  /// or if they span mappings.
  [[nodiscard]] virtual std::byte* translate(std::uint64_t iova, std::size_t length) noexcept = 0;
  /// The same for reading only.
  [[nodiscard]] virtual const std::byte* translate_for_read(std::uint64_t iova, std::size_t length) noexcept {
    return translate(iova, length);
  }

  /// How many of the `length` bytes at `iova` `translate` may translate at once, 1 to `length`: fewer than `length` if
  /// the mapping that has the first one ends before. An access that spans adjacent mappings has to be split there.
  /// `length` if nothing is mapped at `iova`.
  [[nodiscard]] virtual std::size_t contiguous(std::uint64_t /*iova*/, std::size_t length) const noexcept {
    return length;
  }

  /// How long memory takes to answer a read. Reads of a model take no time, but a card may abandon slow ones.
  [[nodiscard]] virtual Duration read_latency() const noexcept { return Duration(0); }

  /// Stores a write. The bytes of a payload become visible in any order. A descriptor or head becomes visible after all
  /// earlier stores, in ascending order of its 8-byte words (or its only 4-byte word), each atomically. Returns false
  /// if the memory is not mapped.
  bool store(const ModelWrite& write) noexcept;

  /// Installs `interceptor`; nullptr removes it. It must stay valid until it is removed or the model no longer uses
  /// this memory. Call this only while the model is idle.
  void intercept(DmaInterceptor* interceptor) noexcept { interceptor_.store(interceptor, std::memory_order_release); }
  /// The one installed; nullptr if there is none.
  [[nodiscard]] DmaInterceptor* interceptor() const noexcept { return interceptor_.load(std::memory_order_acquire); }

 private:
  std::atomic<DmaInterceptor*> interceptor_{nullptr};
};

/// Copies `bytes` to `memory` in the order that ModelDma::store describes.
inline void store_as_card(std::byte* memory, ModelAccess what, std::span<const std::byte> bytes) noexcept {
  if (what == ModelAccess::payload_write) {
    std::memcpy(memory, bytes.data(), bytes.size());
  } else if (bytes.size() == sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(memory), word, __ATOMIC_RELEASE);
  } else {
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof word);
      __atomic_store_n(reinterpret_cast<std::uint64_t*>(memory + at), word, __ATOMIC_RELEASE);
    }
  }
}

inline bool ModelDma::store(const ModelWrite& write) noexcept {
  std::byte* const memory = translate(write.iova, write.bytes.size());
  if (memory == nullptr) return false;
  store_as_card(memory, write.what, write.bytes);
  return true;
}

inline void DmaInterceptor::write(ModelDma& memory, const ModelWrite& write) noexcept {
  static_cast<void>(memory.store(write));
}

/// What a PHY sends on a twisted pair while there are no frames. The PHY at the other end derives speed and duplex mode
/// from it (IEEE 802.3, clauses 28 and 40). The default is an ordinary link partner that supports every mode.
struct LinkSignal {
  /// Which pair it sends on; a link needs both ends to differ, or one to be automatic.
  enum class Crossover : std::uint8_t { automatic, mdi, mdix };
  /// Who gives the clock; a link needs both ends to differ, or one to be automatic.
  enum class Role : std::uint8_t { automatic, master, slave };
  /// 10 and 100 Mb/s with half and full duplex, symmetric and asymmetric pause, selector IEEE 802.3.
  static constexpr std::uint16_t kAllAbilities = 0x0DE1;

  /// The modes up to 100 Mb/s that the PHY advertises, or its forced mode, in the format of PHY register 5.
  std::uint16_t abilities = kAllAbilities;
  /// Whether the PHY advertises 1000 Mb/s in this duplex mode.
  ///@{
  bool gigabit_half = true;
  bool gigabit_full = true;
  ///@}
  /// False if the PHY is forced to one mode. Parallel detection then finds its speed but not its duplex mode, so a link
  /// partner that negotiates chooses half duplex.
  bool negotiates = true;
  bool present = true;                         ///< false: the PHY is powered down, in reset or in loopback
  bool busy = false;                           ///< the PHY has not finished its part of the negotiation
  Crossover crossover = Crossover::automatic;  ///< for 10 and 100 Mb/s, too
  Role role = Role::automatic;                 ///< at 1000 Mb/s
  /// Energy Efficient Ethernet that the PHY advertises, in the format of register 7.60 of IEEE 802.3.
  std::uint16_t efficient = 0;

  [[nodiscard]] bool operator==(const LinkSignal&) const = default;
};

/// How a card's interrupts reach the platform, as its configuration space says.
enum class InterruptMode : std::uint8_t {
  pin,   ///< neither MSI nor MSI-X is enabled: the card asserts its interrupt pin (INTx)
  msi,   ///< one message, number 0
  msix,  ///< a message for each vector, with the mask bits of the MSI-X table
};

/// What a model may still do before it returns to whoever runs it. A driver that asks for more than a card could do in
/// that time then holds up nobody else: the rest is done later. The platform starts a budget for each call of a model,
/// and charges memory accesses and sent frames; a model charges other long computations. A model that has nothing left
/// begins nothing more in this call, and continues at an `advance` at least kPause later. If it goes on nevertheless,
/// the platform refuses its memory accesses once the budget is overdrawn.
/// A unit is roughly 20 ns on a processor of 2023. It is counted and not measured, so that runs in virtual time repeat.
/// Thread rule: that of the model.
class WorkBudget {
 public:
  static constexpr std::int64_t kPerAccess = 1 << 18;   ///< units for a register access: some 5 ms
  static constexpr std::int64_t kPerAdvance = 1 << 16;  ///< units for `advance`
  static constexpr std::int64_t kOverdraft = 1 << 22;   ///< units beyond a budget after which it is overdrawn
  static constexpr Duration kPause = std::chrono::milliseconds(1);  ///< before a model continues

  /// A call begins that may take so many units. For the platform.
  void start(std::int64_t units) noexcept {
    if (left_ < lowest_) lowest_ = left_;
    left_ = units;
  }
  /// A memory access, or a computation over as many bytes.
  void charge(std::size_t bytes) noexcept { left_ -= kAccess + static_cast<std::int64_t>(bytes / kBytesPerUnit); }
  /// A frame on the wire.
  void charge_frame(std::size_t bytes) noexcept { left_ -= kFrame + static_cast<std::int64_t>(bytes / kBytesPerUnit); }
  /// Whether a model may begin more in this call.
  [[nodiscard]] bool has_left() const noexcept { return left_ > 0; }
  /// Whether the platform refuses memory accesses.
  [[nodiscard]] bool is_overdrawn() const noexcept { return left_ < -kOverdraft; }
  /// Units left; negative after the last piece of work was larger than what was left.
  [[nodiscard]] std::int64_t left() const noexcept { return left_; }
  /// The least that was left when a call had ended, so far; at most kPerAccess.
  [[nodiscard]] std::int64_t lowest() const noexcept { return left_ < lowest_ ? left_ : lowest_; }

 private:
  static constexpr std::int64_t kAccess = 4;
  static constexpr std::int64_t kFrame = 16;
  static constexpr std::size_t kBytesPerUnit = 64;

  std::int64_t left_ = kPerAccess;
  std::int64_t lowest_ = kPerAccess;
};

/// A software model of a card that runs inside the process. Drivers access it only through a backend.
/// The model acts only during a register access or a call of `advance`.
/// Thread rule: one thread at a time.
class POLLUX_API DeviceModel {
 public:
  DeviceModel() = default;
  DeviceModel(const DeviceModel&) = delete;
  DeviceModel& operator=(const DeviceModel&) = delete;
  virtual ~DeviceModel() = default;

  /// What the platform puts into the card's configuration space.
  [[nodiscard]] virtual PciIdentity identity() const = 0;
  /// Bytes of base address register `index` (0 to 5), a power of two; 0 if the card lacks it.
  [[nodiscard]] virtual std::size_t bar_size(unsigned index) const = 0;
  /// A driver's access to a 32-bit register of BAR `bar`, with its side effects. `offset` is in bytes, a multiple of 4.
  ///@{
  [[nodiscard]] virtual std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept = 0;
  virtual void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept = 0;
  ///@}
  /// An access of `width` bytes, 1 or 2, at a multiple of `width`. The default is for cards that have only 32-bit
  /// registers: a read returns part of the aligned word, with the side effects of reading it, and a write has no
  /// effect.
  ///@{
  [[nodiscard]] virtual std::uint32_t read_narrow(unsigned bar, std::uint32_t offset, unsigned width) noexcept {
    return part_of_word(read32(bar, word_of(offset)), offset, width);
  }
  virtual void write_narrow(unsigned /*bar*/, std::uint32_t /*offset*/, unsigned /*width*/,
                            std::uint32_t /*value*/) noexcept {}
  ///@}
  /// The same, for a width of 1, 2 or 4 bytes.
  ///@{
  [[nodiscard]] std::uint32_t read(unsigned bar, std::uint32_t offset, unsigned width) noexcept {
    return width == 4 ? read32(bar, offset) : read_narrow(bar, offset, width);
  }
  void write(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
    width == 4 ? write32(bar, offset, value) : write_narrow(bar, offset, width, value);
  }
  ///@}

  /// Sets the interface through which the model accesses memory; nullptr while bus mastering is disabled.
  virtual void set_dma(ModelDma* dma) noexcept = 0;
  /// Sets the budget that all calls of this model and of its functions share; without a call there is no limit. Called
  /// before the first access. It outlives the model. The default is for models whose work for a call is small.
  virtual void set_work_budget(WorkBudget& /*budget*/) noexcept {}
  /// A vendor-specific capability (PCI Local Bus Specification 3.0, appendix H) of the model's configuration space.
  struct VendorCapability {
    std::vector<std::uint8_t> bytes;  ///< all of it; the platform fills in the link to the next one
    bool live = false;                ///< accesses to its bytes from the fourth on are passed to the model
  };
  /// At most one of them is live. The platform has 96 bytes for them, in pieces of 36, 36 and 16 bytes, and gives each
  /// the first piece that has room.
  [[nodiscard]] virtual std::vector<VendorCapability> vendor_capabilities() const { return {}; }
  /// An access of `width` bytes, 1, 2 or 4, at `offset` in the live one, a multiple of `width`.
  ///@{
  [[nodiscard]] virtual std::uint32_t read_capability(std::uint32_t /*offset*/, unsigned /*width*/) noexcept {
    return 0;
  }
  virtual void write_capability(std::uint32_t /*offset*/, unsigned /*width*/, std::uint32_t /*value*/) noexcept {}
  ///@}
  /// Tells the model the value of Device Control 2 in its configuration space (PCI Express, capability version 2).
  virtual void set_device_control2(std::uint16_t /*value*/) noexcept {}
  /// Function level reset.
  virtual void reset() noexcept = 0;
  /// Advances the model's time to `now` and processes all events that are due.
  virtual void advance(Duration now) noexcept = 0;
  /// The time of the next event: an `advance` to an earlier time has no effect. Duration::max() if no event is pending.
  [[nodiscard]] virtual Duration next_event() const noexcept { return Duration::min(); }

  /// Number of MSI-X vectors; 0 for a card without MSI-X.
  [[nodiscard]] virtual unsigned interrupt_vectors() const = 0;
  /// Where the table of these vectors and their pending bits lie in one BAR, in bytes, each a multiple of 8.
  struct MsixLayout {
    unsigned bar = 0;           ///< number of the BAR
    std::uint32_t table = 0;    ///< offset of the vectors' table
    std::uint32_t pending = 0;  ///< offset of the pending bits
  };
  /// Of a card with vectors.
  [[nodiscard]] virtual MsixLayout msix_layout() const { return {}; }
  /// Sets the handler that the model calls with the vector number when it sends an interrupt message.
  virtual void on_interrupt(std::function<void(unsigned vector)> handler) = 0;
  /// Sets the interrupt mode. Until the first call it is `msix`. A card without MSI and interrupt pin ignores it.
  virtual void set_interrupt_mode(InterruptMode /*mode*/) noexcept {}
  /// Whether the card has the capability MSI.
  [[nodiscard]] virtual bool has_msi() const noexcept { return !is_function(); }
  /// Whether the card has a cause to assert its interrupt pin, in any mode.
  [[nodiscard]] virtual bool interrupt_pending() const noexcept { return false; }
  /// Whether the card asks the machine to wake (PME_Status in its configuration space). It goes on asking until
  /// `end_wake_request`.
  [[nodiscard]] virtual bool wake_requested() const noexcept { return false; }
  /// The host has seen the request and cleared PME_Status.
  virtual void end_wake_request() noexcept {}

  /// Sets the handler that the model calls with each frame that it transmits (without FCS).
  using WireHandler = std::function<void(std::span<const std::byte> frame)>;
  /// One handler at a time, called on the thread that runs the model; `frame` is valid only during the call.
  virtual void on_transmit(WireHandler handler) = 0;
  /// The same for a frame that it transmits with a wrong FCS.
  virtual void on_transmit_corrupt(const WireHandler& /*handler*/) {}
  /// A frame (without FCS) arrives from the wire.
  virtual void receive(std::span<const std::byte> frame) noexcept = 0;
  /// A frame with a wrong FCS arrives from the wire.
  virtual void receive_corrupt(std::span<const std::byte> /*frame*/) noexcept {}
  /// Whether the model would accept a frame now: reception is enabled and the packet buffer has room. A wire whose link
  /// partner can wait asks this before it delivers a frame.
  [[nodiscard]] virtual bool can_receive() const noexcept { return true; }
  /// Tells the model whether the wire is full. The model transmits no frames while it is.
  virtual void set_wire_busy(bool /*busy*/) noexcept {}
  /// Tells the model whether a link partner is connected.
  virtual void set_carrier(bool present) noexcept = 0;

  /// Makes this card and `other` ports of one package: they then share what such ports share on a board, for example
  /// semaphores. Called before the first access. A card of another kind than `other`, or one that shares nothing,
  /// ignores it.
  virtual void share_package(DeviceModel& /*other*/) {}

  /// The number of virtual functions (SR-IOV) that the card can have. Each is a card of its own on this card's wire.
  [[nodiscard]] virtual unsigned functions() const { return 0; }
  /// Virtual function `number`; nullptr if the card cannot have it. It lives as long as this card, and has registers
  /// only while it is enabled.
  [[nodiscard]] virtual DeviceModel* function(unsigned /*number*/) noexcept { return nullptr; }
  /// Tells the model how many functions its configuration space has enabled. A function level reset disables all.
  virtual void enable_functions(unsigned /*count*/) noexcept {}
  /// Whether this is a virtual function: it has no interrupt pin, no MSI, and no power management.
  [[nodiscard]] virtual bool is_function() const noexcept { return false; }

  /// What the model's PHY sends to the other end of the wire while there are no frames.
  [[nodiscard]] virtual LinkSignal link_signal() const { return {}; }
  /// Tells the model what the PHY at the other end sends. Without a call, the other end is an ordinary link partner.
  virtual void set_link_partner(const LinkSignal& /*partner*/) noexcept {}
  /// Sets the handler that the model calls after each change of `link_signal`, with the time of the change.
  using SignalHandler = std::function<void(Duration now)>;
  /// The default is for cards without a PHY of this kind: the handler is never called.
  virtual void on_link_signal(const SignalHandler& /*handler*/) {}
};

}  // namespace pollux
