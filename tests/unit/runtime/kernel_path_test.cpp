// SPDX-License-Identifier: BSD-3-Clause
// A port that is shared with the kernel: what passes in both directions and in which state, what is dropped, and how
// the representor follows the port.
#include "pollux/runtime/kernel_path.hpp"

#include <gmock/gmock.h>

#include "fake_port.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"
#include "tcp_frames.hpp"

namespace pollux::test {
namespace {

using testing::HasSubstr;

class KernelPathTest : public MergeFixture {
 protected:
  ~KernelPathTest() override {
    card_state_.tx.clear();
    kernel_state_.tx.clear();
    burst_.drop(seen_, cache_);
  }

  void open() {
    card_.emplace(context_.state(), std::make_unique<FakePortDriver>(card_state_, cache_, "card"));
    kernel_.emplace(context_.state(), std::make_unique<FakePortDriver>(kernel_state_, cache_, "kernel"));
    must(configure_port(*card_, config()));
    must(configure_port(*kernel_, config()));
    must(card_->start());
    must(kernel_->start());
  }
  [[nodiscard]] Settings config() { return {.rx = {{.pool = pool_, .cache = cache_}}, .tx = {{.cache = cache_}}}; }
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    if constexpr (!std::is_void_v<T>) return *std::move(result);
  }
  void make() {
    open();
    path_ = must(KernelPath::create(*card_, *kernel_, cache_));
  }
  [[nodiscard]] Error refused(const KernelPathOptions& options = {}) {
    const auto path = KernelPath::create(*card_, *kernel_, cache_, options);
    EXPECT_FALSE(path);
    return path ? Error{} : path.error();
  }
  void push(MbufPtr frame) { ASSERT_TRUE(burst_.push(frame)); }
  [[nodiscard]] std::uint64_t drops(std::string_view name) const {
    std::uint64_t frames = 0;
    for (const DropCounter* counter : path_->drops()) frames += counter->name() == name ? counter->value() : 0;
    return frames;
  }
  /// A segment whose checksum is still to be computed.
  [[nodiscard]] MbufPtr partial(const Packet& packet) {
    MbufPtr frame = mbuf_of(packet.bytes());
    EXPECT_TRUE(request_checksums(*frame, {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 20}));
    return frame;
  }

  FakePortState card_state_;
  FakePortState kernel_state_;
  std::optional<Port> card_;
  std::optional<Port> kernel_;
  std::unique_ptr<KernelPath> path_;
  Burst<64> burst_;
};

TEST_F(KernelPathTest, FramesPassInBothDirectionsInOrder) {
  make();
  std::vector<PacketBytes> sent;
  for (std::uint32_t i = 0; i < 40; ++i) sent.push_back(Packet{.sequence = i}.bytes());
  for (const PacketBytes& bytes : sent) push(mbuf_of(bytes));
  path_->to_kernel(burst_);
  EXPECT_TRUE(burst_.empty());
  for (const PacketBytes& bytes : sent) push(mbuf_of(bytes, 20));
  path_->to_port(burst_);
  EXPECT_TRUE(burst_.empty());
  for (const FakePortState* end : {&kernel_state_, &card_state_}) {
    std::vector<PacketBytes> passed;
    for (const Mbuf* frame : end->tx.frames) passed.push_back(bytes_of(*frame));
    EXPECT_EQ(passed, sent);
  }
  EXPECT_EQ(path_->frames_to_kernel(), 40U);
  EXPECT_EQ(path_->frames_to_port(), 40U);
  EXPECT_FALSE(path_->waiting());
}

TEST_F(KernelPathTest, APartialChecksumStaysOneForAPortThatComputesIt) {
  card_state_.offloads = {.tx_flags = TxOffload::tcp_checksum, .max_l2 = 14, .max_l3 = 20};
  make();
  push(partial({.payload = {1, 2, 3}}));
  path_->to_port(burst_);
  ASSERT_EQ(card_state_.tx.frames.size(), 1U);
  EXPECT_TRUE(card_state_.tx.frames[0]->has_partial_checksum());
  EXPECT_NE(bytes_of(*card_state_.tx.frames[0]), (Packet{.payload = {1, 2, 3}}).bytes());
}

TEST_F(KernelPathTest, SoftwareComputesAChecksumThatThePortCannot) {
  const Packet packet{.payload = {1, 2, 3}};
  const OffloadLimits too_short{.tx_flags = TxOffload::tcp_checksum, .max_l2 = 14, .max_l3 = 19};
  const OffloadLimits other{.tx_flags = TxOffload::udp_checksum, .max_l2 = 14, .max_l3 = 20};
  for (const OffloadLimits& limits : {OffloadLimits{}, too_short, other}) {
    card_state_.offloads = kernel_state_.offloads = limits;
    make();
    push(partial(packet));
    path_->to_port(burst_);
    push(partial(packet));
    path_->to_kernel(burst_);
    for (FakePortState* end : {&card_state_, &kernel_state_}) {
      ASSERT_EQ(end->tx.frames.size(), 1U);
      EXPECT_FALSE(end->tx.frames[0]->has_partial_checksum());
      EXPECT_EQ(bytes_of(*end->tx.frames[0]), packet.bytes());
      end->tx.clear();
    }
  }
}

TEST_F(KernelPathTest, AVerifiedChecksumStaysVerified) {
  make();
  MbufPtr frame = mbuf_of(Packet{}.bytes());
  SoftwareRxMetadata{.l4_checksum = ChecksumStatus::good}.attach_to(*frame);
  push(std::move(frame));
  path_->to_kernel(burst_);
  ASSERT_EQ(kernel_state_.tx.frames.size(), 1U);
  EXPECT_EQ(RxMetadata(*kernel_state_.tx.frames[0]).l4_checksum(), ChecksumStatus::good);
}

TEST_F(KernelPathTest, AFrameThatRequestsSegmentationIsSegmentedForAPortThatCannot) {
  make();
  const Packet packet{.payload = PacketBytes(1000)};
  MbufPtr frame = mbuf_of(packet.bytes());
  ASSERT_TRUE(request_checksums(
      *frame, {.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 300}));
  push(std::move(frame));
  card_state_.tx.room = 3;
  path_->to_port(burst_);
  EXPECT_TRUE(path_->waiting());
  EXPECT_FALSE(path_->flush());
  card_state_.tx.room = 10;
  EXPECT_TRUE(path_->flush());
  std::vector<std::uint32_t> lengths;
  for (const Mbuf* segment : card_state_.tx.frames) lengths.push_back(segment->packet_length());
  EXPECT_EQ(lengths, (std::vector<std::uint32_t>{354, 354, 354, 154}));
}

TEST_F(KernelPathTest, AStrippedVlanTagIsPutBack) {
  make();
  const Packet tagged{.vlan = 0x6005, .payload = {1, 2, 3}};
  MbufPtr frame = mbuf_of(Packet{.payload = {1, 2, 3}}.bytes());
  SoftwareRxMetadata{.vlan = 0x6005}.attach_to(*frame);
  push(std::move(frame));
  path_->to_kernel(burst_);
  ASSERT_EQ(kernel_state_.tx.frames.size(), 1U);
  EXPECT_EQ(bytes_of(*kernel_state_.tx.frames[0]), tagged.bytes());
}

// What was stripped from the application's memory is no headroom of the library.
TEST_F(KernelPathTest, ATagIsNotWrittenIntoTheApplicationsMemory) {
  make();
  DmaMemory memory = must(context_.allocate({.size = 4096}));
  const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(memory.segments()[0].address), 100);
  std::ranges::fill(bytes, std::uint8_t{0x5A});
  MbufPtr frame = cache_.allocate();
  ASSERT_TRUE(frame->attach_external(memory, 0, bytes.size(), nullptr, nullptr));
  ASSERT_NE(frame->strip(10), nullptr);
  SoftwareRxMetadata{.vlan = 5}.attach_to(*frame);
  push(std::move(frame));
  path_->to_kernel(burst_);
  EXPECT_EQ(drops("kernel_path_no_tag_room"), 1U);
  EXPECT_TRUE(std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0x5A; }));
}

TEST_F(KernelPathTest, EachDropHasAName) {
  make();
  MbufPtr bad = mbuf_of(Packet{}.bytes());
  bad->set_rx_words(RxFormat::software, 0, std::uint64_t{1} << 31);
  push(std::move(bad));
  MbufPtr tagged = mbuf_of(Packet{}.bytes());
  SoftwareRxMetadata{.vlan = 5}.attach_to(*tagged);
  MbufPtr clone = tagged->clone(cache_);
  push(std::move(tagged));
  MbufPtr wrong = mbuf_of(Packet{}.bytes());
  wrong->set_tx_offload({.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 200});
  push(std::move(wrong));
  MbufPtr shared = partial({});
  MbufPtr other = shared->clone(cache_);
  push(std::move(shared));
  MbufPtr segments = mbuf_of(Packet{}.bytes());
  segments->set_tx_offload({.flags = TxOffload::tcp_segmentation});
  push(std::move(segments));
  push(mbuf_of(Packet{}.bytes()));
  push(mbuf_of(Packet{}.bytes()));
  kernel_state_.tx.room = 1;
  path_->to_kernel(burst_);
  EXPECT_TRUE(burst_.empty());
  EXPECT_EQ(drops("kernel_path_bad_frame"), 1U);
  EXPECT_EQ(drops("kernel_path_no_tag_room"), 1U);
  EXPECT_EQ(drops("kernel_path_bad_checksum"), 1U);
  EXPECT_EQ(drops("kernel_path_shared_checksum"), 1U);
  EXPECT_EQ(drops("gso_bad_request"), 1U);
  EXPECT_EQ(drops("kernel_path_kernel_full"), 1U);
  EXPECT_EQ(kernel_state_.tx.frames.size(), 1U);
  card_state_.tx.room = 0;
  push(mbuf_of(Packet{}.bytes()));
  path_->to_port(burst_);
  EXPECT_EQ(drops("kernel_path_port_full"), 1U);
}

TEST_F(KernelPathTest, TheRepresentorBecomesThePort) {
  kernel_state_.has_interface = true;
  card_state_.link = false;
  open();
  must(set_mtu(*card_, 1400));
  path_ = must(KernelPath::create(*card_, *kernel_, cache_));
  EXPECT_EQ(kernel_->settings().mtu, 1400U);
  EXPECT_TRUE(kernel_state_.promiscuous);
  EXPECT_TRUE(card_state_.all_multicast);
  EXPECT_FALSE(card_state_.promiscuous);
  EXPECT_EQ(kernel_state_.interface_mac, card_->mac());
  EXPECT_FALSE(kernel_state_.carrier);
}

TEST_F(KernelPathTest, TheRepresentorFollowsThePort) {
  kernel_state_.has_interface = true;
  make();
  card_state_.link = false;
  must(set_mtu(*card_, 1300));
  must(set_mac(*card_, {2, 0, 0, 0, 0, 7}));
  must(path_->follow());
  EXPECT_FALSE(kernel_state_.carrier);
  EXPECT_EQ(kernel_->settings().mtu, 1300U);
  EXPECT_EQ(kernel_state_.interface_mac, (MacAddress{2, 0, 0, 0, 0, 7}));
  card_state_.link = true;
  must(path_->follow());
  EXPECT_TRUE(kernel_state_.carrier);
  // A stopped representor has no carrier, whatever the port's link is.
  must(kernel_->stop());
  kernel_state_.carrier = false;
  must(path_->follow());
  EXPECT_FALSE(kernel_state_.carrier);
}

TEST_F(KernelPathTest, MulticastStaysAsItIsIfTheProgramSaysSo) {
  open();
  path_ = must(KernelPath::create(*card_, *kernel_, cache_, {.all_multicast = false}));
  EXPECT_FALSE(card_state_.all_multicast);
}

TEST_F(KernelPathTest, RejectsWhatItCannotShare) {
  kernel_state_.max_mtu = 2000;
  open();
  const auto itself = KernelPath::create(*card_, *card_, cache_);
  ASSERT_FALSE(itself);
  EXPECT_THAT(itself.error().what, HasSubstr("cannot represent itself"));
  Error error = refused({.tx_queue = 1});
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.what, HasSubstr("card has no transmit queue 1"));
  EXPECT_THAT(error.hint, HasSubstr("at least 2"));
  must(set_mtu(*card_, 2001));
  error = refused();
  EXPECT_THAT(error.what, HasSubstr("the MTU of card, 2001"));
  EXPECT_THAT(error.hint, HasSubstr("at most 2000"));
  must(card_->stop());
  Settings with_fcs = config();
  with_fcs.keep_fcs = true;
  must(configure_port(*card_, with_fcs));
  EXPECT_THAT(refused().hint, HasSubstr("Settings::keep_fcs to false"));
  must(configure_port(*card_, config()));
  kernel_.emplace(context_.state(), std::make_unique<FakePortDriver>(kernel_state_, cache_, "kernel"));
  EXPECT_THAT(refused().hint, HasSubstr("Settings::rx and tx"));
}

TEST_F(KernelPathTest, AFailureChangesNothing) {
  kernel_state_.has_interface = true;
  kernel_state_.rejects_mac = true;
  open();
  must(set_mtu(*card_, 1400));
  const auto card = state_of(*card_);
  const auto kernel = state_of(*kernel_);
  EXPECT_EQ(refused().code, ErrorCode::permission_denied);
  EXPECT_EQ(state_of(*card_), card);
  EXPECT_EQ(state_of(*kernel_), kernel);
}

/// An in-process card, and a representor whose frames the test sees.
class KernelPathOfACard : public testing::Test {
 protected:
  KernelPathOfACard() {
    EXPECT_TRUE(configure_port(kernel_, lab_.config));
    EXPECT_TRUE(kernel_.start());
    auto path = KernelPath::create(lab_.port, kernel_, lab_.cache);
    if (!path) throw std::runtime_error(path.error().message());
    path_ = *std::move(path);
  }
  ~KernelPathOfACard() override { state_.tx.clear(); }

  CardFixture lab_;
  FakePortState state_;
  Port kernel_{lab_.context.state(), std::make_unique<FakePortDriver>(state_, lab_.cache, "kernel")};
  std::unique_ptr<KernelPath> path_;
};

TEST_F(KernelPathOfACard, TheCardComputesAndVerifiesChecksums) {
  const PacketBytes bytes = Packet{.payload = {1, 2, 3, 4, 5, 6, 7, 8}}.bytes();
  MbufPtr mbuf = lab_.cache.allocate();
  std::copy(bytes.begin(), bytes.end(), mbuf->append(static_cast<std::uint32_t>(bytes.size())));
  ASSERT_TRUE(request_checksums(*mbuf, {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 20}));
  Burst<8> burst;
  ASSERT_TRUE(burst.push(mbuf));
  path_->to_port(burst);
  lab_.clock->advance(std::chrono::milliseconds(1));
  ASSERT_EQ(lab_.sent.size(), 1U);
  Frame frame = lab_.sent[0];
  ASSERT_GE(frame.size(), bytes.size());
  EXPECT_EQ(std::memcmp(frame.data(), bytes.data(), bytes.size()), 0);
  // And back, once right and once damaged.
  const MacAddress mac = lab_.port.mac();
  std::memcpy(frame.data(), mac.data(), mac.size());
  lab_.inject(frame);
  frame[60] ^= std::byte{1};
  lab_.inject(frame);
  Burst<32> received = lab_.rx_burst();
  path_->to_kernel(received);
  ASSERT_EQ(state_.tx.frames.size(), 2U);
  EXPECT_EQ(RxMetadata(*state_.tx.frames[0]).l4_checksum(), ChecksumStatus::good);
  EXPECT_EQ(RxMetadata(*state_.tx.frames[1]).l4_checksum(), ChecksumStatus::bad);
}

}  // namespace
}  // namespace pollux::test
