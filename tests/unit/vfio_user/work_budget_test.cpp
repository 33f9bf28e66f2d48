// SPDX-License-Identifier: BSD-3-Clause
// Drivers that ask a card for as much as they can. A new model enters by rows of the tables below.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "backends/sim/device.hpp"
#include "hw/intel/descriptors.hpp"
#include "hw/virtio/features.hpp"
#include "hw/virtio/net.hpp"
#include "hw/virtio/rings.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
namespace feature = pollux::hw::virtio::feature;
namespace tx = pollux::hw::intel::tx;

/// Units of work that a card may do beyond its budget, since it finishes what it has begun.
constexpr std::int64_t kOnePiece = 1 << 14;

/// A client that has the first of two cards of a wire, its memory, and a neighbour that has the other card.
class Attacker {
 public:
  static constexpr std::uint64_t kMemory = 1 << 20;  // its address
  static constexpr std::size_t kBytes = 16 << 20;

  explicit Attacker(const std::string& card) : fixture({"sim:0" + card, "sim:1" + card}) {
    void* const mapped = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    EXPECT_NE(mapped, MAP_FAILED);
    memory_ = static_cast<std::byte*>(mapped);
    EXPECT_EQ(client->map(kMemory, kBytes, file_.get(), 0), 0);
    write_config(*client, 4, 2, 0x0006);
    write_config(*neighbour, 4, 2, 0x0006);
  }
  ~Attacker() { ::munmap(memory_, kBytes); }

  void write(std::uint32_t bar, std::uint32_t offset, unsigned width, std::uint64_t value) {
    EXPECT_EQ(client->region_write(bar, offset, std::as_bytes(std::span(&value, 1)).first(width)), 0);
  }
  [[nodiscard]] std::byte* at(std::uint64_t address) { return memory_ + (address - kMemory); }
  template <class T>
  void put(std::uint64_t address, const T& value) {
    std::memcpy(at(address), &value, sizeof value);
  }
  [[nodiscard]] sim::SimDevice& device() { return dynamic_cast<sim::SimDevice&>(fixture.server().device()); }
  [[nodiscard]] WorkBudget& budget() { return *device().wire().budget(); }
  [[nodiscard]] std::uint64_t sent() { return device().wire().counters(0).entered; }
  /// Lets the card go on until it has sent nothing for a while.
  void let_finish() {
    for (std::uint64_t before = ~sent(); before != sent();) {
      before = sent();
      for (int i = 0; i < 4; ++i) fixture.clock->advance(WorkBudget::kPause);
    }
  }

 private:
  FileDescriptor file_ = memory_file(kBytes);
  std::byte* memory_ = nullptr;

 public:
  ServerFixture fixture;
  std::unique_ptr<VfioUserClient> client = fixture.client(0);
  std::unique_ptr<VfioUserClient> neighbour = fixture.client(1);
};

// The 82576: registers of transmit queue 0, hw/intel/igb.
constexpr std::uint64_t kRing = Attacker::kMemory;
constexpr std::uint64_t kData = Attacker::kMemory + (8 << 20);

void start_82576(Attacker& attacker, std::uint32_t descriptors) {
  raise_link(attacker.fixture, *attacker.client);
  attacker.write(0, 0xE000, 4, kRing);             // TDBAL
  attacker.write(0, 0xE008, 4, descriptors * 16);  // TDLEN
  attacker.write(0, 0xE028, 4, 1U << 25);          // TXDCTL.ENABLE
  attacker.write(0, 0x0400, 4, 0xA);               // TCTL.EN, PSP
  attacker.fixture.clock->advance(1ms);
}

/// Requests of 60,000 segments with a byte each.
void segments_82576(Attacker& attacker) {
  constexpr std::uint32_t kRequests = 4;
  start_82576(attacker, 64);
  const tx::Context context{.ip_length = 20, .l4_length = 20, .mss = 1, .kind = tx::kContextTcp | tx::kContextIpv4};
  for (std::uint32_t i = 0; i < kRequests; ++i) {
    attacker.put(kRing + i * 32, tx::context(context));
    attacker.put(kRing + i * 32 + 16, tx::data(kData, 60054, 60000, tx::kSegment | tx::kEndOfPacket));
  }
  attacker.write(0, 0xE018, 4, 2 * kRequests);  // TDT
  attacker.let_finish();
  EXPECT_EQ(attacker.sent(), kRequests * 60000u) << "the rest is done later";
}

/// A frame that never ends.
void descriptors_82576(Attacker& attacker) {
  constexpr std::uint32_t kDescriptors = 65528;
  start_82576(attacker, kDescriptors);
  for (std::uint32_t i = 0; i < kDescriptors; ++i) attacker.put(kRing + i * 16, tx::data(kData, 1, 1, 0));
  attacker.write(0, 0xE018, 4, kDescriptors - 1);  // TDT
  attacker.let_finish();
  EXPECT_EQ(read_register(*attacker.client, 0xE010), kDescriptors - 1) << "TDH: the rest is done later";
}

// virtio-net: the layout of its BAR 4, and queues of the largest size.
constexpr std::uint16_t kSize = 256;
constexpr std::uint64_t queue_at(std::uint16_t queue) { return kRing + queue * 0x4000U; }

void start_virtio(Attacker& attacker, std::uint64_t features, std::uint16_t queues) {
  const auto write = [&](std::uint32_t offset, unsigned width, std::uint64_t value) {
    attacker.write(4, offset, width, value);
  };
  features |= feature::kVersion1 | feature::kAccessPlatform;
  for (const unsigned status : {0U, 1U, 3U}) write(0x14, 1, status);
  for (unsigned half = 0; half < 2; ++half) {
    write(0x08, 4, half);
    write(0x0C, 4, features >> 32 * half & 0xFFFFFFFF);
  }
  write(0x14, 1, 0x0B);
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    write(0x16, 2, queue);
    write(0x18, 2, kSize);
    for (unsigned area = 0; area < 3; ++area) write(0x20 + 8 * area, 4, queue_at(queue) + 0x1000U * area);
    write(0x1C, 2, 1);
  }
  write(0x14, 1, 0x0F);
}

void describe(Attacker& attacker, std::uint16_t queue, std::uint16_t slot,
              const pollux::hw::virtio::SplitDescriptor& what) {
  attacker.put(queue_at(queue) + slot * 16U, what);
}
void make_available(Attacker& attacker, std::uint16_t queue, std::uint16_t entry, std::uint16_t head) {
  attacker.put(queue_at(queue) + 0x1000 + 4 + 2U * (entry % kSize), head);
}
void publish(Attacker& attacker, std::uint16_t queue, std::uint16_t index) {
  auto* const place = reinterpret_cast<std::uint16_t*>(attacker.at(queue_at(queue) + 0x1000 + 2));
  __atomic_store_n(place, index, __ATOMIC_RELEASE);
}
void kick(Attacker& attacker, std::uint16_t queue) { attacker.write(4, 0x3000 + 4U * queue, 2, queue); }

/// Frames of the greatest length, whose segments have 17 bytes of payload and 30,794 bytes of headers.
void segments_virtio(Attacker& attacker) {
  constexpr std::uint16_t kFrames = 8;
  constexpr std::size_t kLength = 65549, kHeaders = 15, kL4 = 14 + 40 + kHeaders * 2048;
  start_virtio(attacker, feature::kCsum | feature::kHostTso6, 2);
  std::vector<std::uint8_t> frame(kLength);
  frame[12] = 0x86, frame[13] = 0xDD, frame[14] = 0x60, frame[20] = 60;
  frame[18] = (kLength - 54) >> 8, frame[19] = (kLength - 54) & 0xFF;
  for (std::size_t i = 0; i < kHeaders; ++i) {
    frame[54 + i * 2048] = i + 1 < kHeaders ? 60 : 6;  // destination options; TCP
    frame[54 + i * 2048 + 1] = 255;
  }
  frame[kL4 + 12] = 0x50;
  pollux::hw::virtio::NetHeader header;
  header.flags = 1;
  header.gso_type = 4;
  header.gso_size = 17;
  header.checksum_start = kL4;
  header.checksum_offset = 16;
  attacker.put(kData, header);
  std::memcpy(attacker.at(kData + 12), frame.data(), frame.size());
  for (std::uint16_t i = 0; i < kFrames; ++i) {
    describe(attacker, 1, i, {kData, kLength + 12, 0, 0});
    make_available(attacker, 1, i, i);
  }
  publish(attacker, 1, kFrames);
  kick(attacker, 1);
  attacker.let_finish();
  EXPECT_EQ(attacker.sent(), kFrames * ((kLength - kL4 - 20 + 16) / 17)) << "the rest is done later";
}

/// Commands that are added as soon as others are answered.
void commands_virtio(Attacker& attacker) {
  constexpr std::uint16_t kControl = 2, kCommands = 128;
  constexpr std::uint32_t kAddresses = 21840, kLength = 10 + 6 * kAddresses;
  start_virtio(attacker, feature::kCtrlVq | feature::kCtrlRx, 3);
  attacker.put(kData, std::array<std::uint8_t, 2>{1, 0});  // MAC_TABLE_SET
  attacker.put(kData + 2, kAddresses);
  const auto status = [&](unsigned i) {
    return reinterpret_cast<std::uint8_t*>(attacker.at(kData + (1 << 20) + 64 * i));
  };
  for (std::uint16_t i = 0; i < kCommands; ++i) {
    const auto answer = static_cast<std::uint16_t>(2 * i + 1);
    describe(attacker, kControl, 2 * i, {kData, kLength, 1, answer});
    describe(attacker, kControl, answer, {kData + (1 << 20) + 64U * i, 1, 2, 0});
    *status(i) = 0xFF;
  }
  for (std::uint16_t i = 0; i < kSize; ++i) make_available(attacker, kControl, i, 2 * (i % kCommands));
  publish(attacker, kControl, kCommands);
  std::atomic<bool> stop{false};
  std::thread adds([&] {
    std::uint16_t index = kCommands;
    const auto end = std::chrono::steady_clock::now() + 2s;
    for (unsigned i = 0; !stop && std::chrono::steady_clock::now() < end;) {
      if (__atomic_load_n(status(i), __ATOMIC_ACQUIRE) == 0xFF) continue;
      *status(i) = 0xFF;
      publish(attacker, kControl, ++index);
      i = (i + 1) % kCommands;
    }
  });
  for (int i = 0; i < 10; ++i) kick(attacker, kControl);
  stop = true;
  adds.join();
}

/// A frame in 65,536 buffers, all of which have to be looked at.
void chains_virtio(Attacker& attacker) {
  start_virtio(attacker, feature::kIndirectDesc, 2);
  for (std::uint32_t i = 0; i < kSize; ++i) {
    const auto flags = static_cast<std::uint16_t>(i + 1 < kSize ? 1 : 0);
    attacker.put(kData + 16U * i,
                 pollux::hw::virtio::SplitDescriptor{kData + 0x10000, 1, flags, static_cast<std::uint16_t>(i + 1)});
    describe(attacker, 1, static_cast<std::uint16_t>(i), {kData, kSize * 16, 4, 0});
    make_available(attacker, 1, static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(i));
  }
  publish(attacker, 1, kSize);
  kick(attacker, 1);
  attacker.let_finish();
  std::uint16_t used = 0;
  std::memcpy(&used, attacker.at(queue_at(1) + 0x2000 + 2), sizeof used);
  EXPECT_EQ(used, kSize) << "the rest is done later";
}

struct Attack {
  const char* name;
  const char* card;
  void (*run)(Attacker&);
};
class WorkBudgetOf : public testing::TestWithParam<Attack> {};

TEST_P(WorkBudgetOf, HoldsAndTheNeighbourIsServed) {
  Attacker attacker(GetParam().card);
  GetParam().run(attacker);
  EXPECT_LE(attacker.budget().lowest(), 0) << "the card was not asked for too much";
  EXPECT_GT(attacker.budget().lowest(), -kOnePiece);
  EXPECT_EQ(attacker.device().dma_domain().refused(), 0u);
  EXPECT_EQ(read_config(*attacker.neighbour, 0, 2), std::string_view(GetParam().card).empty() ? 0x8086u : 0x1AF4u);
}

INSTANTIATE_TEST_SUITE_P(Models, WorkBudgetOf,
                         testing::Values(Attack{"Segments82576", "", segments_82576},
                                         Attack{"Descriptors82576", "", descriptors_82576},
                                         Attack{"SegmentsVirtio", "?card=virtio-net", segments_virtio},
                                         Attack{"CommandsVirtio", "?card=virtio-net", commands_virtio},
                                         Attack{"ChainsVirtio", "?card=virtio-net", chains_virtio}),
                         [](const auto& row) { return row.param.name; });

/// What a client that writes anything may write to: memory of its rings, and registers that begin work.
struct Scribble {
  const char* name;
  const char* card;
  void (*start)(Attacker&);
  std::uint32_t bar;
  std::vector<std::uint32_t> registers;
  unsigned width;
  std::uint32_t values;  // of a register
};
class ScribblingOn : public testing::TestWithParam<Scribble> {};

void start_rings_virtio(Attacker& attacker) {
  start_virtio(attacker,
               feature::kCtrlVq | feature::kCtrlRx | feature::kIndirectDesc | feature::kMrgRxbuf | feature::kCsum |
                   feature::kHostTso4 | feature::kHostTso6 | feature::kHostUso,
               3);
}
void start_rings_82576(Attacker& attacker) {
  start_82576(attacker, 256);
  attacker.write(0, 0xC000, 4, kRing + 0x1000);  // RDBAL
  attacker.write(0, 0xC008, 4, 4096);            // RDLEN
  attacker.write(0, 0xC028, 4, 1U << 25);        // RXDCTL.ENABLE
  attacker.write(0, 0x0100, 4, 0x801A);          // RCTL.EN, promiscuous
}

TEST_P(ScribblingOn, HarmsNobodyElse) {
  const Scribble& row = GetParam();
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    Attacker attacker(row.card);
    std::mt19937 random(seed);
    row.start(attacker);
    for (int round = 0; round < 400; ++round) {
      for (int i = 0; i < 40; ++i) {
        const std::uint64_t place = kRing + random() % 0xC000 / 2 * 2;
        const bool address = random() % 4 == 0;
        if (address) {
          attacker.put(place / 16 * 16, kRing + random() % (Attacker::kBytes + 0x1000));
        } else {
          attacker.put(place, static_cast<std::uint16_t>(random() % (random() % 2 == 0 ? 8 : 0x10000)));
        }
      }
      attacker.write(row.bar, row.registers[random() % row.registers.size()], row.width, random() % row.values);
      attacker.fixture.clock->advance(random() % 2 == 0 ? 1us : 2 * WorkBudget::kPause);
      if (round % 50 == 49) row.start(attacker);
      ASSERT_NE(read_config(*attacker.neighbour, 0, 4), ~0u);
    }
    EXPECT_GT(attacker.budget().lowest(), -kOnePiece) << seed;
    EXPECT_TRUE(attacker.fixture.server().has_client());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, ScribblingOn,
    testing::Values(Scribble{"82576", "", start_rings_82576, 0, {0xE018, 0xC018}, 4, 256},
                    Scribble{"Virtio", "?card=virtio-net", start_rings_virtio, 4, {0x3000, 0x3004, 0x3008}, 2, 3}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace pollux::test
