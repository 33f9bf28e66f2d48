// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/open.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "pollux/laboratory.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A device that allows only calls of `identity`, and reports its destruction.
class NamedCard final : public Device {
 public:
  NamedCard(PciIdentity identity, bool& handed_back) : identity_(identity), handed_back_(handed_back) {}
  ~NamedCard() override { handed_back_ = true; }

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override { return identity_; }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t, unsigned) override { return untouched(); }
  [[nodiscard]] Result<void> write_config(std::uint32_t, unsigned, std::uint32_t) override { return untouched(); }
  [[nodiscard]] Result<Bar> bar(unsigned) override { return untouched(); }
  [[nodiscard]] Result<void> set_bus_master(bool) override { return untouched(); }
  [[nodiscard]] Result<void> reset() override { return untouched(); }
  [[nodiscard]] DmaDomain& dma_domain() override { std::abort(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return 0; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned) override { return untouched(); }

 private:
  static tl::unexpected<Error> untouched() {
    ADD_FAILURE() << "a card that no driver knows must not be accessed";
    return fail(ErrorCode::io_error, "touched");
  }

  std::string name_ = "test:card";
  PciIdentity identity_;
  bool& handed_back_;
};

class Open : public testing::Test {
 protected:
  Error refused(std::string_view uri) {
    const auto port = open_unconfigured(context_, uri);
    EXPECT_FALSE(port) << uri;
    return port ? Error{} : port.error();
  }
  Error refused_card(PciIdentity identity) {
    bool handed_back = false;
    const auto port = open_unconfigured(context_, std::make_unique<NamedCard>(identity, handed_back));
    EXPECT_FALSE(port);
    EXPECT_TRUE(handed_back);
    return port ? Error{} : port.error();
  }

  Context context_;
};

TEST_F(Open, ListsTheSchemesForAnUnknownOne) {
  const Error error = refused("nosuch:1");
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.what, HasSubstr("'nosuch'"));
  for (const char* kind :
       {"vfio:", "sim:", "qtest:", "record:", "fault:", "replay:", "ring:", "pcap:", "tap:", "xdp:", "null:"}) {
    EXPECT_THAT(error.hint, HasSubstr(kind));
  }
}

TEST_F(Open, RefusesTheCardsOfChipsetsByName) {
  const Error error = refused_card({.vendor = 0x8086, .device = 0x15B8});
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("the I219-V is not supported"));
  EXPECT_THAT(error.hint, HasSubstr("ipxe issue 1731"));
}

TEST_F(Open, RefusesTheDeviceBeforeVmxnet3ByName) {
  const Error error = refused_card({.vendor = 0x15AD, .device = 0x0720});
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("the VMware vmxnet is not supported"));
  EXPECT_THAT(error.hint, HasSubstr("VMXNET3"));
}

TEST_F(Open, QuotesTextThatIsNotAUri) {
  for (const char* text : {"", ":", ":0", "no-interface", "0000:zz:00.0", "0000:01:00", "Sim:0", "1sim:0", " sim:0"}) {
    const Error error = refused(text);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << text;
    EXPECT_THAT(error.what, HasSubstr("'" + std::string(text) + "'"));
    EXPECT_THAT(error.hint, HasSubstr("vfio:")) << text;
  }
}

TEST_F(Open, NamesTheUriOfAnInterfaceOfTheKernel) {
  EXPECT_THAT(refused("lo").hint, HasSubstr("write xdp:lo "));
  EXPECT_THAT(refused("lo?rule=all").hint, HasSubstr("write xdp:lo?rule=all "));
}

TEST_F(Open, RejectsASchemeWithoutAnArgument) {
  for (const char* text : {"sim:", "vfio:"}) {
    const Error error = refused(text);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << text;
    EXPECT_THAT(error.what, HasSubstr("nothing after the colon")) << text;
  }
}

TEST_F(Open, RejectsDevicesThatAreWrappedTooOften) {
  const auto wrapped = [](int times) {
    std::string uri;
    for (int i = 0; i < times; ++i) uri += "fault:removal@1000000,";
    return uri + "sim:0";
  };
  EXPECT_TRUE(open_unconfigured(context_, wrapped(16)));
  for (const int times : {17, 100'000}) {
    const Error error = refused(wrapped(times));
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_THAT(error.what, HasSubstr("too many"));
    EXPECT_THAT(error.hint, HasSubstr("at most 16"));
  }
}

TEST_F(Open, OpensABarePciAddressWithVfio) {
  // No machine has bus ff in domain ffff. The error says that the device was not found, not that the text is invalid.
  const Error error = refused("ffff:ff:1f.7");
  EXPECT_NE(error.code, ErrorCode::invalid_argument) << error.message();
  EXPECT_THAT(error.what, HasSubstr("ffff:ff:1f.7"));
  EXPECT_EQ(refused("vfio:ffff:ff:1f.7").message(), error.message());
}

TEST_F(Open, OpensAShortPciAddressWithVfio) { EXPECT_THAT(refused("fe:1f.7").message(), Not(HasSubstr("scheme"))); }

TEST_F(Open, NamesAnUnknownCardAndTheSupportedOnes) {
  const Error error = refused_card({.vendor = 0x8086, .device = 0x15F3});
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("test:card"));
  EXPECT_THAT(error.what, HasSubstr("8086:15f3"));
  for (const char* card :
       {"8086:10c9 82576", "8086:10e8", "8086:1526", "8086:150a", "8086:10ca 82576 virtual function"}) {
    EXPECT_THAT(error.hint, HasSubstr(card));
  }
}

TEST_F(Open, RejectsAnotherVendorsCard) {
  EXPECT_EQ(refused_card({.vendor = 0x8087, .device = 0x10C9}).code, ErrorCode::not_supported);
}

TEST_F(Open, RejectsANullDevice) {
  const auto port = open_unconfigured(context_, std::unique_ptr<Device>());
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::invalid_argument);
}

TEST_F(Open, LeavesAPortUnconfiguredWithoutAConfiguration) {
  const auto port = open_unconfigured(context_, "sim:0");
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->state(), PortState::opened);
  EXPECT_EQ(port->info().name, "sim:0");
}

TEST_F(Open, StartsAPortWithAConfiguration) {
  const auto pool = Mempool::create(context_, {.count = 1024});
  ASSERT_TRUE(pool) << pool.error().message();
  const auto port = open(context_, "sim:0", {.rx = {{.pool = *pool}}});
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->state(), PortState::started);
}

TEST_F(Open, ClosesThePortIfTheConfigurationIsRejected) {
  const auto pool = Mempool::create(context_, {.count = 1024});
  ASSERT_TRUE(pool) << pool.error().message();
  const auto refused = open(context_, "sim:0", {.rx = {{.pool = *pool, .ring = 100}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(pool->stats().in_use(), 0U);
  // The card is free again.
  EXPECT_TRUE(open(context_, "sim:0", {.rx = {{.pool = *pool}}}));
}

TEST_F(Open, ClosesThePortIfItDoesNotStart) {
  auto pool = Mempool::create(context_, {.count = 100});
  ASSERT_TRUE(pool) << pool.error().message();
  // The pool is large enough for the configuration, but its mbufs are in use at the start.
  std::vector<MbufPtr> held;
  for (int i = 0; i < 50; ++i) held.push_back(pool->allocate());
  const auto port = open(context_, "sim:0", {.rx = {{.pool = *pool, .ring = 64}}});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::no_memory) << port.error().message();
  EXPECT_EQ(pool->stats().in_use(), held.size());
  held.clear();
  EXPECT_TRUE(open(context_, "sim:0", {.rx = {{.pool = *pool, .ring = 64}}}));
}

TEST_F(Open, TheWholeLibraryHasTheLaboratoryOnce) {
  const std::string hint = refused("none:0").hint;
  add_laboratory(context_);
  EXPECT_EQ(refused("none:0").hint, hint);
  EXPECT_THAT(hint, HasSubstr("sim:0, an in-process card"));
}

}  // namespace
}  // namespace pollux
