// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "drivers/virtio/queue/rx_queue.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "hw/virtio/net.hpp"
#include "hw/virtio/rings.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux::drivers::virtio::test {

using Bytes = std::vector<std::uint8_t>;
namespace feature = hw::virtio::feature;

/// Both ring formats.
inline constexpr hw::virtio::Features kFormats[] = {0, feature::kRingPacked};

/// The device's side of a queue, in the hands of a test: it does what the test says, right or wrong.
class DeviceSide {
 public:
  DeviceSide(const Virtqueue& memory, hw::virtio::Features features) : memory_(memory), features_(features) {}

  [[nodiscard]] bool packed() const noexcept { return (features_ & feature::kRingPacked) != 0; }
  /// Takes note of all buffers that the driver has made available since the last call. Returns their ids.
  std::vector<std::uint32_t> look();
  /// The descriptors of a buffer that `look` has found, as address and length.
  struct Part {
    std::uint8_t* address;
    std::uint32_t length;
  };
  [[nodiscard]] const std::vector<Part>& parts(std::uint32_t id) const { return buffers_.at(id).parts; }
  /// Writes a used entry, and shows it to the driver. `skip`: buffers that it stands for besides (IN_ORDER).
  void use(std::uint32_t id, std::uint32_t length, std::uint32_t skip = 0);
  /// Writes a used entry without showing it; `show` does.
  void prepare(std::uint32_t id, std::uint32_t length);
  void show();
  /// Asks for a doorbell with the entry at `position` (EVENT_IDX, packed ring).
  void ask_for_kick_at(std::uint32_t position) const;
  /// Moves the used index of a split ring on without entries.
  void jump(std::uint16_t entries);
  /// Writes a used descriptor of a packed ring with the wrap counter of the other lap.
  void use_with_wrong_wrap(std::uint32_t id, std::uint32_t length);

 private:
  struct Buffer {
    std::vector<Part> parts;
    std::uint32_t span = 1;  // descriptors in the ring
  };

  [[nodiscard]] std::uint8_t* at(std::uint64_t iova) const;
  std::uint32_t read_split(std::uint32_t head);
  void read_table(const hw::virtio::SplitDescriptor& table, Buffer& buffer) const;
  void write_packed(std::uint32_t id, std::uint32_t length, bool wrap, std::uint32_t slot) const;

  Virtqueue memory_;
  hw::virtio::Features features_;
  std::map<std::uint32_t, Buffer> buffers_;
  std::uint32_t seen_ = 0;  // position of the next available entry
  std::uint32_t used_ = 0;  // position of the next used entry
  struct Hidden {
    std::uint32_t slot;
    std::uint32_t id;
    std::uint32_t length;
    bool wrap;
  };
  std::optional<Hidden> hidden_;  // the first descriptor of a packed ring that `show` will show
};

/// A queue of `kSize` descriptors on memory of its own, and a pool.
struct QueueFixture {
  static constexpr std::uint32_t kSize = 16;

  explicit QueueFixture(hw::virtio::Features with = 0, std::uint32_t mbufs = 256);
  ~QueueFixture();

  void start_rx();
  void start_tx();

  /// Lets the device fill the next buffer with a frame of `bytes` bytes, whose bytes are `first`, first + 1 and so on.
  void receive(std::uint32_t id, std::uint32_t bytes, hw::virtio::NetHeader header = {.num_buffers = 1},
               std::uint8_t first = 1);
  /// One burst. Its frames are freed.
  std::vector<Bytes> poll();
  std::uint64_t dropped(RxDrop why);
  std::uint64_t dropped(TxDrop why);

  /// An mbuf, or a chain of them, with these bytes.
  MbufPtr make(const Bytes& bytes, std::size_t segment_bytes = 2048);
  /// Sends frames in one burst; returns how many were taken. The rest is freed.
  std::uint32_t send(std::vector<MbufPtr> frames);
  /// What the device finds in a buffer, header included.
  Bytes content(std::uint32_t id);

  Context context{{.huge_pages = HugePages::never}};
  Mempool pool;
  MempoolCache cache;
  RxFilter filter;
  hw::virtio::Features features;
  VirtioRxQueue rx{filter, true};
  VirtioTxQueue tx;
  std::optional<DeviceSide> device;
  std::uint16_t doorbell = 0xFFFF;
  DropCounter seen{"seen"};
};

/// A frame of an Ethernet header and `bytes` in total.
Bytes frame_of(std::size_t bytes, std::uint8_t first = 1);

}  // namespace pollux::drivers::virtio::test
