// SPDX-License-Identifier: BSD-3-Clause
// The self-test and the NVM of QEMU's card.
#include <algorithm>
#include <array>

#include "pollux/net/nvm.hpp"
#include "pollux/net/self_test.hpp"
#include "qemu/fixture.hpp"

namespace pollux {
namespace {

using test::QemuFixture;
using test::QemuPort;

TEST(Diagnostics, QemusCardPassesTheSelfTest) {
  QemuFixture fixture;
  QemuPort partner = fixture.start("1");
  QemuPort tested = fixture.open("0");
  const auto results = tested.port.capability<SelfTest>()->test_offline();
  ASSERT_TRUE(results) << results.error().message();
  ASSERT_EQ(results->size(), 5u);
  for (const SelfTestResult& result : *results) {
    EXPECT_EQ(to_string(result.outcome), "passed") << to_string(result.part) << ": " << result.detail;
  }
}

TEST(Diagnostics, TheNvmIsReadButNotWritten) {
  QemuFixture fixture;
  QemuPort qemu = fixture.open("0");
  const auto nvm = qemu.port.capability<Nvm>();
  const auto info = nvm->nvm_info();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->words, 256u);
  EXPECT_EQ(info->device_id, 0x10C9);
  EXPECT_TRUE(info->checksum_holds);
  const auto words = nvm->read_nvm(0, 3);
  ASSERT_TRUE(words) << words.error().message();
  EXPECT_EQ((*words)[0] & 0xFF, qemu.port.mac()[0]);
  const auto written = nvm->write_nvm(0, std::array<std::uint16_t, 1>{1});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::not_supported);
  EXPECT_EQ(nvm->nvm_protection().error().code, ErrorCode::not_supported);
}

}  // namespace
}  // namespace pollux
