// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/queue_setup.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>
#include <vector>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/rss.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/queue/tx_request.hpp"

namespace pollux::drivers::igb {
namespace {

/// For half-duplex links. Linux, e1000_defines.h, E1000_COLLISION_THRESHOLD and E1000_COLLISION_DISTANCE.
constexpr std::uint32_t kCollisionThreshold = 15;
constexpr std::uint32_t kCollisionDistance = 63;

bool splits_headers(const PlacedQueues& config) {
  return std::any_of(config.rx.begin(), config.rx.end(),
                     [](const PlacedRxQueue& queue) { return queue.header_bytes != 0; });
}

}  // namespace

// Linux, igb_main.c, igb_setup_tctl, and e1000_82575.c, igb_config_collision_dist: pad short packets, retransmit on
// late collision. The DMA engine's packet limit stays at its default of 9.5 KiB, which is the card's longest frame.
Result<void> start_transmit(const IgbCard& card, const PlacedQueues& config, const intel::RingMemory& rings) {
  if (config.tx_queues() == 0) return {};
  for (std::uint32_t queue = 0; queue < config.tx_queues(); ++queue) {
    auto programmed = program_tx_ring(card, queue, rings.tx(queue), intel::tx_thresholds(config.tx[queue]));
    if (!programmed) return programmed;
  }
  modify<reg::TCTL_EXT>(card, reg::TCTL_EXT::COLD(kCollisionDistance));
  modify<reg::TCTL>(card, reg::TCTL::PSP | reg::TCTL::RTLC | reg::TCTL::CT(kCollisionThreshold) | reg::TCTL::EN);
  // [I-QENABLE] A queue reports itself enabled only when TCTL.EN is set: Linux,
  // tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_hw_init.
  for (std::uint32_t queue = 0; queue < config.tx_queues(); ++queue) {
    if (auto enabled = wait_tx_enabled(card, queue); !enabled) return enabled;
  }
  return {};
}

Result<void> program_receive(const IgbCard& card, const PlacedQueues& config, const intel::RingMemory& rings) {
  for (std::uint32_t queue = 0; queue < config.rx_queues(); ++queue) {
    auto programmed = program_rx_ring(card, queue, rings.rx(queue), intel::rx_format(config.rx[queue]));
    if (!programmed) return programmed;
  }
  if (splits_headers(config)) write_split_types(card, config);  // a reset clears the types
  // Linux, igb_main.c, igb_configure_rx: SCTP checksums on an 82576. Erratum E-SCTP60 is handled by RxMetadata.
  modify<reg::RXCSUM>(card, reg::RXCSUM::CRCOFL);
  // Erratum E-IPV6EX: Linux, e1000_82575.c, igb_rx_fifo_flush_82575.
  modify<reg::RFCTL>(card, reg::RFCTL::IPV6_EX_DIS);
  return {};
}

// [I-QENABLE] [I-RDT] A queue reports itself enabled only when RCTL.RXEN is set, and ignores RDT until then: Linux,
// tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_hw_init; 82575 manual, 14.3.59.
Result<void> wait_receive(const IgbCard& card, const PlacedQueues& config) {
  for (std::uint32_t queue = 0; queue < config.rx_queues(); ++queue) {
    if (auto enabled = wait_rx_enabled(card, queue); !enabled) return enabled;
  }
  return {};
}

// [I-PSRTYPE] Which register a queue follows depends on the pools, so all have the same types. They say nothing to
// queues that do not split. With virtual functions the port has one pool, and the others' types are the functions'.
void write_split_types(const IgbCard& card, const PlacedQueues& config) {
  constexpr reg::PSRTYPE::Value kTypes = reg::PSRTYPE::IPV4_FRAGMENT | reg::PSRTYPE::IPV4_TCP | reg::PSRTYPE::IPV4_UDP |
                                         reg::PSRTYPE::TUNNEL_FRAGMENT | reg::PSRTYPE::TUNNEL_TCP |
                                         reg::PSRTYPE::TUNNEL_UDP | reg::PSRTYPE::IPV6_FRAGMENT |
                                         reg::PSRTYPE::IPV6_TCP | reg::PSRTYPE::IPV6_UDP;
  const reg::PSRTYPE::Value types = splits_headers(config) ? kTypes : reg::PSRTYPE::Value();
  if (card.first_queue != 0) return card.regs.write<reg::PSRTYPE>(card.first_queue, types);
  for (std::uint32_t pool = 0; pool < reg::PSRTYPE::kCount; ++pool) card.regs.write<reg::PSRTYPE>(pool, types);
}

// DPDK, igb_ethdev.c, igb_vlan_hw_extend_enable: the second tag counts, too.
std::uint32_t limit_bytes(const IgbCard& card, ReceiveLimit limit) noexcept {
  return std::min(wire_bytes(limit.mtu) + (limit.outer_vlan ? kVlanTagBytes : 0), card.traits->max_frame);
}

namespace {

/// The bit of an entry that selects the second queue of a pool: Linux, igb_main.c, igb_write_rss_indir_tbl.
constexpr std::uint32_t kPoolShift = 3;

constexpr std::array<gigabit::HashBit, 9> kHashBits{{{RssTypes::ipv4, reg::MRQC::IPV4.mask()},
                                                     {RssTypes::tcp_ipv4, reg::MRQC::TCP_IPV4.mask()},
                                                     {RssTypes::udp_ipv4, reg::MRQC::UDP_IPV4.mask()},
                                                     {RssTypes::ipv6, reg::MRQC::IPV6.mask()},
                                                     {RssTypes::tcp_ipv6, reg::MRQC::TCP_IPV6.mask()},
                                                     {RssTypes::udp_ipv6, reg::MRQC::UDP_IPV6.mask()},
                                                     {RssTypes::ipv6_ex, reg::MRQC::IPV6_EX.mask()},
                                                     {RssTypes::tcp_ipv6_ex, reg::MRQC::TCP_IPV6_EX.mask()},
                                                     {RssTypes::udp_ipv6_ex, reg::MRQC::UDP_IPV6_EX.mask()}}};

}  // namespace

// RXCSUM.PCSD: QEMU, igb_core.c, igb_rss_enabled.
void enable_hash(const IgbCard& card) { modify<reg::RXCSUM>(card, reg::RXCSUM::PCSD); }

// [I-RETA] Unlike on the 82575, entries are shifted only with pools: Linux, igb_main.c, igb_write_rss_indir_tbl.
void write_rss(const IgbCard& card, const RssConfig& config, bool in_pools) {
  gigabit::write_rss(card, config,
                     {.bits = kHashBits,
                      .mode = (in_pools ? reg::MRQC::VMDQ_RSS : reg::MRQC::RSS).bits(),
                      .shift = in_pools ? kPoolShift : 0});
}

namespace {

constexpr std::uint32_t kUnit = 1024;

constexpr std::uint32_t rounded_up(std::uint32_t bytes) noexcept { return (bytes + kUnit - 1) / kUnit * kUnit; }

}  // namespace

// The largest sizes are those after power-on. For the smallest one, flow
// control needs room for two of the longest frames above the high mark and for a mark below it.
PacketBufferLimits packet_buffer_limits(const hw::igb::CardTraits& card) noexcept {
  if (!card.buffers.adjustable) return {};
  return {.unit = kUnit,
          .min = {.receive = rounded_up(2 * card.max_frame + kUnit), .transmit = rounded_up(card.max_frame)},
          .max = {.receive = card.receive_buffer, .transmit = card.transmit_buffer}};
}

// A reset by CTRL.RST keeps the sizes (I-M-RESET), a function level reset may not, so each start writes them. On an
// I210 another system may have divided the buffer for its traffic classes (ipxe pull request 907): Linux, igb_main.c,
// igb_setup_tx_mode, writes its defaults.
void PacketBufferSizes::write(const PacketBuffers& sizes) {
  const hw::igb::BufferTraits& fixed = card_.traits->buffers;
  if (!fixed.adjustable) {
    if (fixed.receive == 0) return;
    card_.regs.write<reg::RXPBS>(reg::RXPBS::Value(fixed.receive));
    card_.regs.write<reg::TXPBS>(reg::TXPBS::Value(fixed.transmit));
    return;
  }
  if (!initial_) {
    if (sizes == PacketBuffers{}) return;
    const Initial initial{read_with_retry<reg::RXPBS>(card_), read_with_retry<reg::TXPBS>(card_)};
    if (initial.receive.all_ones() || initial.transmit.all_ones()) return;
    initial_ = initial;
  }
  card_.regs.write<reg::RXPBS>(sizes.receive == 0 ? initial_->receive
                                                  : reg::RXPBS::Value(reg::RXPBS::SIZE(sizes.receive / kUnit)));
  card_.regs.write<reg::TXPBS>(sizes.transmit == 0 ? initial_->transmit : reg::TXPBS::Value(sizes.transmit / kUnit));
}

std::uint32_t PacketBufferSizes::receive_bytes(const PacketBuffers& sizes) const {
  if (sizes.receive != 0) return sizes.receive;
  if (!card_.traits->buffers.adjustable) return card_.traits->receive_buffer;
  const auto size = initial_ ? initial_->receive : read_with_retry<reg::RXPBS>(card_);
  return size.all_ones() ? 0 : size.get(reg::RXPBS::SIZE) * kUnit;
}

namespace {

constexpr std::uint32_t kQueuesOfAPool = 2;

/// Linux, igb_main.c, igb_set_vf_rate_limit: for frames of up to 9.5 KiB.
constexpr std::uint32_t kCatchUp = 0x14;

}  // namespace

void TxRates::note_second_queue(std::uint32_t function, bool used, const Settings& settings) {
  if (uses_both_[function] == used) return;
  uses_both_[function] = used;
  if (speed_ == 0) return;
  for (const std::uint32_t queue : {function, function + card_.traits->pools}) write(queue, rate(queue, settings));
}

// A function's drivers use one queue, which has the whole limit. The second queue has next to nothing until the
// function enables it; then both have a half. So their sum never exceeds the limit by more than that.
TxRates::Rate TxRates::function_rate(std::uint32_t queue, std::uint32_t megabits) const noexcept {
  const std::uint32_t function = pool_of(card_, queue);
  if (uses_both_[function]) return {.megabits = megabits, .queues = kQueuesOfAPool};
  return {.megabits = megabits, .is_slowest = queue != function && megabits != 0};
}

// The lower one of the queue's own limit and its share of the pool's. With functions the port has the queue after
// theirs.
TxRates::Rate TxRates::rate(std::uint32_t queue, const Settings& settings) const noexcept {
  const std::uint32_t number = pool_of(card_, queue);
  const auto functions = static_cast<std::uint32_t>(settings.functions.size());
  if (number < functions) return function_rate(queue, settings.functions[number].max_rate);
  if (functions != 0 && queue != functions) return {};
  const Rate own{.megabits = rate_of(settings.tx_rates, static_cast<std::uint16_t>(queue - functions))};
  const Rate pool{.megabits = rate_of(settings.pool_tx_rates, static_cast<std::uint16_t>(number)),
                  .queues = number + card_.traits->pools < settings.tx.size() ? kQueuesOfAPool : 1};
  if (pool.megabits == 0) return own;
  return own.megabits != 0 && own.megabits * pool.queues < pool.megabits ? own : pool;
}

void TxRates::apply(const PlacedSettings& from, const PlacedSettings& to) const {
  if (!card_.traits->rate_limits) return;
  for (std::uint32_t queue = 0; speed_ != 0 && queue < card_.traits->queues; ++queue) {
    if (const Rate wanted = rate(queue, to); wanted != rate(queue, from)) write(queue, wanted);
  }
}

void TxRates::follow(const Link& link, const Settings& settings) {
  if (!link.up || link.speed == speed_) return;
  const bool is_first = speed_ == 0;
  speed_ = link.speed;
  if (!card_.traits->rate_limits) return;
  for (std::uint32_t queue = 0; queue < card_.traits->queues; ++queue) {
    if (const Rate wanted = rate(queue, settings); wanted.megabits != 0 || !is_first) write(queue, wanted);
  }
}

// A segmentation request whose segments have less data than headers is about twice as long on the wire.
Duration TxRates::longest_request(const Settings& settings, std::uint32_t first_queue,
                                  std::uint32_t queues) const noexcept {
  constexpr std::uint64_t kBits = 2 * std::uint64_t{intel::kMaxTso} * 8;
  std::uint64_t longest = speed_ == 0 ? 0 : kBits / speed_;
  for (std::uint32_t queue = first_queue; queue < first_queue + queues; ++queue) {
    const Rate limit = rate(queue, settings);
    if (limit.megabits != 0) longest = std::max(longest, kBits * limit.queues / limit.megabits);
  }
  return std::chrono::microseconds(longest);
}

// [I-TXRATE] Linux, igb_main.c, igb_set_vf_rate_limit. A limit that the link cannot exceed is none.
void TxRates::write(std::uint32_t queue, const Rate& rate) const {
  constexpr std::uint32_t kOne = 1U << 14;
  const std::uint32_t shares = speed_ * rate.queues;
  card_.regs.write<reg::RTTDQSEL>(reg::RTTDQSEL::QUEUE(queue));
  card_.regs.write<reg::RTTBCNRM>(reg::RTTBCNRM::MMW_SIZE(kCatchUp));
  if (rate.is_slowest) {
    card_.regs.write<reg::RTTBCNRC>(reg::RTTBCNRC::RS_ENA | reg::RTTBCNRC::RF_INT(kOne - 1));
  } else if (rate.megabits == 0 || rate.megabits >= shares) {
    card_.regs.write<reg::RTTBCNRC>({});
  } else {
    card_.regs.write<reg::RTTBCNRC>(reg::RTTBCNRC::RS_ENA | reg::RTTBCNRC::RF_INT(shares / rate.megabits) |
                                    reg::RTTBCNRC::RF_DEC(shares % rate.megabits * kOne / rate.megabits));
  }
  card_.regs.flush();
}

namespace {

constexpr std::uint32_t kOtherVector = 0;
constexpr std::uint32_t kOtherBit = 1U << kOtherVector;

// Linux, igb_main.c, igb_assign_vector.
void assign_vectors(const IgbCard& card, const intel::QueueInterrupts& interrupts, std::uint32_t count) {
  std::array<reg::IVAR::Value, reg::IVAR::kCount> entries{};
  for (std::uint32_t queue = 0; queue < count; ++queue) {
    const reg::QueueEntry at = reg::ivar_entry(card.first_queue + queue, card.traits->ivar_distance);
    const std::uint32_t vector = interrupts.vector_of(queue);
    entries[at.index] = entries[at.index].with(at.high ? reg::IVAR::RX_HIGH(vector) | reg::IVAR::RX_HIGH_VALID
                                                       : reg::IVAR::RX_LOW(vector) | reg::IVAR::RX_LOW_VALID);
  }
  for (std::uint32_t index = 0; index < entries.size(); ++index) {
    if (entries[index].raw() != 0) card.regs.write<reg::IVAR>(index, entries[index]);
  }
}

}  // namespace

// Linux, igb_main.c, igb_configure_msix, igb_assign_vector and igb_irq_enable. The mode comes first, because QEMU's
// card ignores EIAC outside of it (I-EIACSET). A message clears its cause (EIAC), and that of a queue masks its vector
// (EIAM, with GPIE.EIAME). Transmit queues have no vector: sent buffers are reclaimed when more are sent.
void enable_interrupts(const IgbCard& card, intel::QueueSet& queues, std::uint32_t count) {
  const intel::MaskRegisters masks{.bar = card.regs.bar(),
                                   .unmask = reg::EIMS::offset(0),
                                   .mask = reg::EIMC::offset(0),
                                   .moderation = reg::EITR::offset(0)};
  intel::QueueInterrupts* const interrupts = intel::enable_vectors(card, *card.device, masks, queues, count);
  if (interrupts == nullptr) return;
  card.regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE | reg::GPIE::PBA | reg::GPIE::EIAME | reg::GPIE::NSICR);
  card.regs.write<reg::EIAC>(reg::EIAC::VECTORS(interrupts->bits()));
  const std::uint32_t other = interrupts->has_other() ? kOtherBit : 0;
  card.regs.write<reg::EIAM>(reg::EIAM::VECTORS(interrupts->bits() & ~other));
  assign_vectors(card, *interrupts, count);
  if (!interrupts->has_other()) return;
  card.regs.write<reg::IVAR_MISC>(reg::IVAR_MISC::OTHER(kOtherVector) | reg::IVAR_MISC::OTHER_VALID);
  card.regs.write<reg::IMS>(reg::IMS::LSC);
  card.regs.write<reg::EIMS>(reg::EIMS::VECTORS(kOtherBit));
}

// Linux, igb_main.c, igb_msix_other. A cause that stays in ICR raises no further message. Only this read depends on
// when a message came, so that a replay can be serviced at other times (igb_is_status).
void acknowledge_interrupts(const IgbCard& card, intel::QueueSet& queues) {
  intel::QueueInterrupts* const interrupts = queues.interrupts();
  if (interrupts == nullptr || !interrupts->take_other()) return;
  static_cast<void>(card.regs.read_and_clear<reg::ICR>());
}

}  // namespace pollux::drivers::igb
