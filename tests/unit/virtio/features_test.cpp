// SPDX-License-Identifier: BSD-3-Clause
// The port on two in-process devices that offer one feature, two, or all: what is negotiated, and what then works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "models/virtio/net/options.hpp"
#include "pollux/net/stats.hpp"
#include "unit/virtio/feature_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

/// What a device offers for a test besides VERSION_1.
struct Offer {
  const char* name;
  Features features;
};

constexpr Features kSegments = feature::kHostTso4 | feature::kHostTso6 | feature::kHostEcn | feature::kCsum;
constexpr Features kMerges = feature::kGuestCsum | feature::kMrgRxbuf;

/// Each feature with what the driver takes it with: the standard's conditions, buffers for frames that are left
/// unsegmented, and all kinds of TCP for a sender that segments.
constexpr Offer kOffers[] = {
    {"CSUM", feature::kCsum},
    {"GUEST_CSUM", feature::kGuestCsum},
    {"MTU", feature::kMtu},
    {"MAC", feature::kMac},
    {"GUEST_TSO4", feature::kGuestTso4 | kMerges},
    {"GUEST_TSO6", feature::kGuestTso6 | kMerges},
    {"GUEST_ECN", feature::kGuestEcn | feature::kGuestTso4 | kMerges},
    {"GUEST_USO4", feature::kGuestUso4 | kMerges},
    {"GUEST_USO6", feature::kGuestUso6 | kMerges},
    {"HOST_TSO4, HOST_TSO6, HOST_ECN", kSegments},
    {"HOST_USO", feature::kHostUso | feature::kCsum},
    {"MRG_RXBUF", feature::kMrgRxbuf},
    {"STATUS", feature::kStatus},
    {"CTRL_VQ", feature::kCtrlVq},
    {"CTRL_RX", feature::kCtrlRx | feature::kCtrlVq},
    {"CTRL_VLAN", feature::kCtrlVlan | feature::kCtrlVq},
    {"GUEST_ANNOUNCE", feature::kGuestAnnounce | feature::kCtrlVq},
    {"MQ", feature::kMq | feature::kCtrlVq},
    {"CTRL_MAC_ADDR", feature::kCtrlMacAddr | feature::kCtrlVq},
    {"VQ_NOTF_COAL", feature::kVqNotfCoal | feature::kCtrlVq},
    {"NOTF_COAL", feature::kNotfCoal | feature::kCtrlVq},
    {"HASH_REPORT", feature::kHashReport | feature::kCtrlVq},
    {"RSS", feature::kRss | feature::kCtrlVq},
    {"SPEED_DUPLEX", feature::kSpeedDuplex},
    {"INDIRECT_DESC", feature::kIndirectDesc},
    {"EVENT_IDX", feature::kEventIdx},
    {"ACCESS_PLATFORM", feature::kAccessPlatform},
    {"RING_PACKED", feature::kRingPacked},
    {"IN_ORDER", feature::kInOrder},
    {"ORDER_PLATFORM", feature::kOrderPlatform},
    {"NOTIFICATION_DATA", feature::kNotificationData},
    {"RING_RESET", feature::kRingReset},
};
/// What the in-process device offers and the driver never takes.
constexpr Features kNotTaken = feature::kCtrlGuestOffloads | feature::kCtrlRxExtra | feature::kGuestHdrlen;

class VirtioFeatures : public testing::Test {
 protected:
  /// Offers `features` on both devices, expects `negotiated`, and that all that they stand for works.
  void expect(const std::string& name, Features features, Features negotiated) {
    SCOPED_TRACE(name);
    FeatureFixture fixture(context_, pool_, features | feature::kVersion1);
    fixture.expect_negotiated(negotiated | feature::kVersion1);
    fixture.expect_described();
    fixture.expect_filtered();
    fixture.expect_traffic();
    fixture.expect_restarted();
    fixture.expect_wakeups();
    fixture.expect_account();
  }
  void TearDown() override { EXPECT_EQ(pool_.stats().in_use(), 0U); }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 1024, .name = "features"}).value();
};

TEST_F(VirtioFeatures, TheTableHasEveryFeatureThatTheDriverTakes) {
  Features all = feature::kVersion1 | kNotTaken;
  for (const Offer& offer : kOffers) all |= offer.features;
  EXPECT_EQ(all, models::virtio::kAllFeatures);
}

TEST_F(VirtioFeatures, NoFeatureAtAllIsEnough) { expect("VERSION_1", 0, 0); }

TEST_F(VirtioFeatures, EachIsTakenAloneAndWorks) {
  for (const Offer& offer : kOffers) expect(offer.name, offer.features, offer.features);
}

TEST_F(VirtioFeatures, EachPairIsTakenAndWorks) {
  for (const Offer& one : kOffers) {
    for (const Offer* other = &one + 1; other != std::end(kOffers) && !HasFailure(); ++other) {
      expect(std::string(one.name) + " and " + other->name, one.features | other->features,
             one.features | other->features);
    }
  }
}

TEST_F(VirtioFeatures, AllTogetherAreTakenAndWork) {
  for (const Features without : {Features{0}, feature::kRingPacked, feature::kMrgRxbuf}) {
    const Features all = models::virtio::kAllFeatures & ~without;
    constexpr Features kNeedMerging =
        feature::kGuestTso4 | feature::kGuestTso6 | feature::kGuestEcn | feature::kGuestUso4 | feature::kGuestUso6;
    const Features lost = without == feature::kMrgRxbuf ? kNeedMerging : 0;
    expect(std::to_string(without), all, all & ~(kNotTaken | lost));
  }
}

TEST_F(VirtioFeatures, WhatTheDriverCannotUseIsLeftOut) {
  const Offer left_out[] = {
      {"GUEST_TSO4 without MRG_RXBUF", feature::kGuestTso4},
      {"HOST_TSO4 alone", feature::kHostTso4},
      {"HOST_TSO6 alone", feature::kHostTso6},
      {"CTRL_RX_EXTRA", feature::kCtrlRxExtra},
      {"GUEST_HDRLEN", feature::kGuestHdrlen},
      {"CTRL_GUEST_OFFLOADS", feature::kCtrlGuestOffloads},
  };
  constexpr Features kNeeds = feature::kCsum | feature::kGuestCsum | feature::kCtrlVq;
  for (const Offer& offer : left_out) expect(offer.name, offer.features | kNeeds, kNeeds);
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
