// SPDX-License-Identifier: BSD-3-Clause
// The same registers, rings, frames and commands on the in-process virtio-net and on QEMU's, without a driver.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "differential/observation.hpp"
#include "differential/seed.hpp"
#include "differential/virtio_fixture.hpp"
#include "hw/virtio/control.hpp"
#include "unit/models/virtio/frames.hpp"

namespace pollux::differential {
namespace {

using models::virtio::Part;
using enum Scope;

/// There is no difference that the steps below meet. docs/virtio/device.md has what they leave out.
struct Virtio : testing::Test {
  VirtioFixture model{"sim"};
  VirtioFixture qemu{"qtest"};
  const std::uint64_t seed = choose_seed();

  /// Runs `steps(fixture, random, observations)` on both.
  template <class Steps>
  void compare(Scope scope, Steps steps) {
    std::array<Observations, 2> seen;
    for (unsigned i = 0; i < 2; ++i) {
      Random random(seed);
      steps(i == 0 ? model : qemu, random, seen[i]);
    }
    Comparison comparison(scope, {});
    comparison.add(seen[0], seen[1], fmt::format("POLLUX_SEED={}", seed));
    EXPECT_TRUE(comparison.alike()) << comparison.report();
  }
};

TEST_F(Virtio, RegistersHaveTheSameValuesAfterAReset) {
  compare(reset, [](VirtioFixture& fixture, Random& /*random*/, Observations& seen) {
    seen.add("features", fixture.offered(0));
    for (const RegisterInfo& info : hw::kCommonRegisters) {
      for (std::uint32_t i = 0; i < info.stride.count; ++i)
        seen.add(fmt::format("{} {}", info.name, i), fixture.bars[0].read(info.at(i), info.bits / 8));
    }
    seen.add("NET_STATUS", fixture.bars[0].read(fixture.kConfig + hw::NET_STATUS::offset(), 2));
  });
}

/// A value that a driver may write. Beyond them the devices differ, as docs/virtio/device.md says.
std::uint32_t value_for(const RegisterInfo& info, Random& random) {
  if (info.name == "QUEUE_SIZE") return 8U << random.below(6);
  if (info.name == "QUEUE_SELECT") return random.below(3);
  return info.bits == 16 || info.name.ends_with("SELECT") ? random.below(6) : random.word() & ~0xFFFU;
}

TEST_F(Virtio, RegistersKeepTheSameBits) {
  compare(written, [](VirtioFixture& fixture, Random& random, Observations& seen) {
    for (int round = 0; round < 40; ++round) {
      fixture.negotiate(0, hw::without_unmet(kBoth & ~hw::Features{random.word()}));
      seen.add("negotiated", fixture.read<hw::DEVICE_STATUS>(0));
      for (const RegisterInfo& info : hw::kCommonRegisters) {
        if (info.access != Access::rw || info.name == "DEVICE_STATUS" || info.name == "DRIVER_FEATURE" ||
            info.name == "QUEUE_ENABLE")
          continue;
        for (std::uint32_t i = 0; i < info.stride.count; ++i) {
          fixture.bars[0].write(info.at(i), info.bits / 8, value_for(info, random));
          seen.add(std::string(info.name), fixture.bars[0].read(info.at(i), info.bits / 8));
        }
      }
    }
  });
}

/// Buffers of a card, in turn.
class Room {
 public:
  explicit Room(std::uint64_t start) : start_(start) {}
  std::uint64_t take(std::uint32_t bytes) {
    constexpr std::uint32_t kRoom = 1 << 18;
    if (next_ + bytes > kRoom) next_ = 0;
    return start_ + std::exchange(next_, next_ + bytes);
  }

 private:
  std::uint64_t start_;
  std::uint32_t next_ = 0;
};

/// Frames from device 0 to device 1.
struct Traffic {
  VirtioFixture& fixture;
  Random& random;
  Observations& seen;
  bool packed;
  Room tx{fixture.at(0, VirtioFixture::kBuffers)}, rx{fixture.at(1, VirtioFixture::kBuffers)};
  std::map<std::uint32_t, std::vector<Part>> posted = {};
  std::uint32_t room = 0;  // bytes that are posted

  /// `total` bytes in up to four parts of a buffer.
  std::vector<Part> split(Room& from, std::uint32_t total, bool writable) {
    std::vector<Part> parts;
    for (std::uint32_t left = total; left != 0;) {
      const std::uint32_t bytes = parts.size() == 3 ? left : random.between(1, left);
      parts.push_back({from.take(bytes), bytes, writable});
      left -= bytes;
    }
    return parts;
  }
  std::uint16_t add(unsigned which, std::uint16_t queue, Room& from, const std::vector<Part>& parts) {
    HandRing& ring = *fixture.rings[which][queue];
    if (parts.size() == 1 || random.once(2)) return ring.add(parts);
    const auto bytes = static_cast<std::uint32_t>(parts.size() * sizeof(hw::SplitDescriptor));
    const std::uint64_t table = (from.take(bytes + 16) + 15) / 16 * 16;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto flags = static_cast<std::uint16_t>((parts[i].writable ? hw::kDescWrite : 0) |
                                                    (!packed && i + 1 < parts.size() ? hw::kDescNext : 0));
      const auto next = static_cast<std::uint16_t>(i + 1);
      if (packed) {
        fixture.memory.put(table + 16 * i, hw::PackedDescriptor{parts[i].iova, parts[i].length, 0, flags});
      } else {
        fixture.memory.put(table + 16 * i, hw::SplitDescriptor{parts[i].iova, parts[i].length, flags, next});
      }
    }
    return ring.add({{table, bytes, false}}, hw::kDescIndirect);
  }
  void post() {
    while (room < 10'000) {
      const std::uint32_t bytes = random.between(400, 2000);
      const auto parts = split(rx, bytes, true);
      posted[add(1, 0, rx, parts)] = parts;
      room += bytes;
    }
    fixture.kick(1, 0);
  }
  void send(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      models::virtio::Bytes frame = models::virtio::DeviceFixture::frame(random.between(60, 1514));
      frame[20] = static_cast<std::byte>(random.byte());
      send_one(frame);
    }
    fixture.kick(0, 1);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto entry = fixture.used(0, 1);
      seen.add("tx used id", entry.id);
      seen.add("tx used length", entry.length);
    }
  }
  void send_one(const models::virtio::Bytes& frame) {
    models::virtio::Bytes all(sizeof(hw::NetHeader));
    all.insert(all.end(), frame.begin(), frame.end());
    const auto parts = split(tx, static_cast<std::uint32_t>(all.size()), false);
    std::size_t at = 0;
    for (const Part& part : parts) {
      fixture.memory.put_bytes(part.iova, std::span(all).subspan(at, part.length));
      at += part.length;
    }
    add(0, 1, tx, parts);
  }
  /// All that was received until now.
  void receive() {
    while (const auto entry = fixture.rings[1][0]->used()) {
      seen.add("rx used id", entry->id);
      seen.add("rx used length", entry->length);
      std::uint32_t left = entry->length;
      models::virtio::Bytes bytes;
      for (const Part& part : posted[entry->id]) {
        const auto some = fixture.memory.bytes(part.iova, std::min(left, part.length));
        bytes.insert(bytes.end(), some.begin(), some.end());
        left -= static_cast<std::uint32_t>(some.size());
        room -= part.length;
      }
      posted.erase(entry->id);
      seen.add_bytes("rx content", bytes.data(), bytes.size());
    }
    seen.add("rx end", 0);
  }
};

TEST_F(Virtio, FramesFillTheSameBuffers) {
  for (const bool packed : {false, true}) {
    SCOPED_TRACE(packed ? "packed" : "split");
    const hw::Features features = kBoth & ~feature::kEventIdx & ~(packed ? 0 : feature::kRingPacked);
    compare(traffic, [=](VirtioFixture& fixture, Random& random, Observations& seen) {
      fixture.start(features);
      Traffic frames{fixture, random, seen, packed};
      for (int round = 0; round < 200; ++round) {
        const bool quiet = random.once(2);
        if (packed) {
          fixture.memory.put(fixture.rings[1][0]->driver(),
                             hw::EventSuppression{0, quiet ? hw::kEventDisable : hw::kEventEnable});
        } else {
          fixture.memory.put(fixture.rings[1][0]->driver(), quiet ? hw::kNoInterrupt : std::uint16_t{0});
        }
        frames.post();
        frames.send(random.between(1, 5));
        frames.receive();
        seen.add("interrupt", fixture.signalled(1, 1) ? 1 : 0);
      }
    });
  }
}

/// A command, sometimes without its last byte.
std::vector<std::uint8_t> command(Random& random) {
  const auto number = [&](std::uint8_t end) { return static_cast<std::uint8_t>(random.below(end)); };
  std::vector<std::uint8_t> bytes{number(3), number(3)};
  const auto address = [&] { bytes.insert(bytes.end(), {2, 0, 0, 0, 0, number(4)}); };
  if (bytes[0] == 0) {
    bytes.push_back(number(2));
  } else if (bytes[0] == 1 && bytes[1] == hw::mac_command::kTableSet) {
    for (int table = 0; table < 2; ++table) {
      const std::uint8_t count = number(3);
      bytes.insert(bytes.end(), {count, 0, 0, 0});
      for (std::uint8_t i = 0; i < count; ++i) {
        address();
        if (table == 1) bytes[bytes.size() - 6] = 3;
      }
    }
  } else if (bytes[0] == 1) {
    address();
  } else if (bytes[0] == 2) {
    bytes.insert(bytes.end(), {number(4), 0});
  }
  if (bytes.size() > sizeof(hw::ControlHeader) && random.once(10)) bytes.pop_back();
  return bytes;
}

TEST_F(Virtio, CommandsHaveTheSameEffect) {
  compare(alias, [](VirtioFixture& fixture, Random& random, Observations& seen) {
    fixture.start(kBoth & ~feature::kEventIdx);
    Traffic frames{fixture, random, seen, true};
    Room& room = frames.rx;
    const auto run = [&](const std::vector<std::uint8_t>& bytes) {
      const auto length = static_cast<std::uint32_t>(bytes.size());
      const Part request{room.take(length), length, false}, status{room.take(1), 1, true};
      fixture.memory.put_bytes(request.iova, std::as_bytes(std::span(bytes)));
      fixture.rings[1][2]->add({request, status});
      fixture.kick(1, 2);
      const auto entry = fixture.used(1, 2);
      seen.add(fmt::format("command class {} {} bytes {}", bytes[0], bytes.size() > 1 ? bytes[1] : 0, length),
               fixture.memory.get<std::uint8_t>(status.iova));
      seen.add("command used length", entry.length);
    };
    // The filters of both start in another state.
    run({0, hw::rx_command::kPromiscuous, 0});
    run({1, hw::mac_command::kAddressSet, 2, 0, 0, 0, 0, 1});
    for (std::uint8_t vlan = 0; vlan < 4; ++vlan) run({2, hw::vlan_command::kDelete, vlan, 0});
    for (int round = 0; round < 300; ++round) {
      run(command(random));
      frames.post();
      const std::uint8_t first = random.once(3) ? std::uint8_t{3} : std::uint8_t{2};
      models::virtio::Bytes frame =
          models::virtio::DeviceFixture::frame(60, {first, 0, 0, 0, 0, static_cast<std::uint8_t>(random.below(4))});
      if (random.once(3)) models::virtio::put16(frame, 12, 0x8100), models::virtio::put16(frame, 14, random.below(4));
      frames.send_one(frame);
      fixture.kick(0, 1);
      static_cast<void>(fixture.used(0, 1));
      frames.receive();
    }
  });
}

}  // namespace
}  // namespace pollux::differential
