// SPDX-License-Identifier: BSD-3-Clause
// Runs the driver on the memory layout of a machine without an IOMMU: huge pages whose physical addresses are not
// contiguous.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"
#include "unit/mem/fake_domain.hpp"
#include "unit/mem/fake_physical.hpp"
#include "unit/mem/machine.hpp"

namespace pollux::vfio::test {
namespace {

using pollux::test::FakeDomain;
using pollux::test::FakePhysical;
using pollux::test::ReservedHugePages;

constexpr std::size_t kPage = ReservedHugePages::kPageSize;
constexpr std::uint64_t kPages = 8;

/// Descending physical addresses, with a gap of one page between neighbours.
std::vector<std::uint64_t> scattered() {
  std::vector<std::uint64_t> addresses;
  for (std::uint64_t i = 0; i < kPages; ++i) addresses.push_back(0x1'0000'0000 - 2 * (i + 1) * kPage);
  return addresses;
}

struct Scattered {
  Scattered() {
    auto domain = std::make_shared<FakeDomain>();
    domain->physical = std::make_shared<FakePhysical>(scattered());
    EXPECT_TRUE(context.attach(domain));
    for (const char* uri : {"sim:0", "sim:1"}) {
      auto port = open_unconfigured(context, uri);
      EXPECT_TRUE(port) << port.error().message();
      ports.push_back(*std::move(port));
    }
    auto made = Mempool::create(context, {.count = 2400});
    EXPECT_TRUE(made) << made.error().message();
    pool = *std::move(made);
    for (Port& port : ports) {
      EXPECT_TRUE(pollux::test::configure_port(
          port, {.rx = {{.pool = *pool, .ring = 512}}, .tx = {{.ring = 512}}, .mtu = 9000, .promiscuous = true}));
      EXPECT_TRUE(port.start());
    }
    for (Port& port : ports) EXPECT_TRUE(port.wait_for_link(std::chrono::seconds(10)));
  }
  ContextOptions options() const { return {.clock = std::make_shared<ManualClock>()}; }

  Context context{options()};
  std::optional<Mempool> pool;
  std::vector<Port> ports;
};

std::uint8_t byte_of(unsigned number, std::size_t at) { return static_cast<std::uint8_t>(number * 7 + at); }

/// A frame of `size` bytes, in a chain of as many buffers as needed.
MbufPtr make_frame(Mempool& pool, unsigned number, std::uint32_t size) {
  MbufPtr frame;
  for (std::uint32_t done = 0; done < size;) {
    MbufPtr part = pool.allocate();
    const std::uint32_t length = std::min(size - done, 2048U);
    std::uint8_t* const bytes = part->append(length);
    for (std::uint32_t i = 0; i < length; ++i) bytes[i] = byte_of(number, done + i);
    done += length;
    if (frame == nullptr) {
      frame = std::move(part);
    } else {
      EXPECT_TRUE(frame->chain(part));
    }
  }
  return frame;
}

TEST(ScatteredMemory, SingleAndMultiSegmentFramesPassIntact) {
  const ReservedHugePages reserved(kPages);
  if (!reserved.missing().empty()) GTEST_SKIP() << reserved.missing();
  Scattered fixture;
  ASSERT_TRUE(fixture.pool.has_value());
  std::set<std::uint64_t> pages;
  for (unsigned number = 0; number < 3000; ++number) {
    const std::uint32_t size = number % 10 == 0 ? 9014 : 60 + number % 1400;
    Port& from = fixture.ports[number / 2 % 2];
    Port& to = fixture.ports[1 - number / 2 % 2];
    Burst<4> out;
    MbufPtr frame = make_frame(*fixture.pool, number, size);
    ASSERT_TRUE(out.push(frame));
    ASSERT_EQ(from.tx(0).tx_burst(out), 1u);
    Burst<4> in;
    ASSERT_EQ(to.rx(0).rx_burst(in), 1u) << "frame " << number;
    ASSERT_EQ(in[0].packet_length(), size);
    std::size_t at = 0;
    for (Mbuf* part = &in[0]; part != nullptr; part = part->next()) {
      pages.insert(part->data_iova() / kPage);
      for (const std::uint8_t byte : part->bytes()) ASSERT_EQ(byte, byte_of(number, at++)) << "frame " << number;
    }
    DropCounter checked("checked");
    in.drop(checked);
  }
  EXPECT_GE(pages.size(), 2u) << "frames arrived in buffers of one page only";
}

}  // namespace
}  // namespace pollux::vfio::test
