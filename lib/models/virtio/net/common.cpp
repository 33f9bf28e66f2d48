// SPDX-License-Identifier: BSD-3-Clause
// The common configuration and the device's own. [I-V-WRITES] A field is written with its natural width (VIRTIO 1.3,
// 4.1.3.1); other writes are ignored. Reads of any width return what lies there.
#include <bit>
#include <cstring>

#include "models/virtio/net/card.hpp"

namespace pollux::models::virtio {
namespace {

using Status = hw::DEVICE_STATUS;
namespace feature = hw::feature;

constexpr std::uint32_t kSelectLimit = 2;  // of words of features

template <class T>
void put(std::vector<std::uint8_t>& image, std::uint32_t offset, T value) {
  std::memcpy(image.data() + offset, &value, sizeof value);
}

std::uint32_t word(hw::Features features, std::uint32_t select) {
  return select < kSelectLimit ? static_cast<std::uint32_t>(features >> 32 * select) : 0;
}

}  // namespace

std::uint32_t Card::read_image(const std::vector<std::uint8_t>& image, std::uint32_t offset, unsigned width) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < width && offset + i < image.size(); ++i) value |= std::uint32_t{image[offset + i]} << 8 * i;
  return value;
}

Queue* Card::selected() { return queue_select_ < core_.queues.size() ? &core_.queues[queue_select_] : nullptr; }

std::vector<std::uint8_t> Card::common_image() const {
  std::vector<std::uint8_t> image(hw::kCommonBytesWithReset);
  put(image, hw::DEVICE_FEATURE_SELECT::offset(), device_feature_select_);
  put(image, hw::DEVICE_FEATURE::offset(), word(core_.options.features, device_feature_select_));
  put(image, hw::DRIVER_FEATURE_SELECT::offset(), driver_feature_select_);
  put(image, hw::DRIVER_FEATURE::offset(), word(driver_features_, driver_feature_select_));
  put(image, hw::CONFIG_MSIX_VECTOR::offset(), config_vector_);
  put(image, hw::NUM_QUEUES::offset(), static_cast<std::uint16_t>(core_.queues.size()));
  put(image, hw::DEVICE_STATUS::offset(), status_);
  put(image, hw::CONFIG_GENERATION::offset(), generation_);
  put(image, hw::QUEUE_SELECT::offset(), queue_select_);
  if (queue_select_ >= core_.queues.size()) return image;  // a size of 0: there is no such queue
  const Queue& queue = core_.queues[queue_select_];
  put(image, hw::QUEUE_SIZE::offset(), queue.setup().size);
  put(image, hw::QUEUE_MSIX_VECTOR::offset(), queue.setup().vector);
  put(image, hw::QUEUE_ENABLE::offset(), static_cast<std::uint16_t>(queue.enabled()));
  put(image, hw::QUEUE_NOTIFY_OFF::offset(), queue_select_);
  put(image, hw::QUEUE_DESC::offset(), queue.setup().areas);
  return image;
}

// Fields of features that are not offered read as 0 (2.5.3).
std::vector<std::uint8_t> Card::device_image() const {
  const hw::Features offered = core_.options.features;
  const bool hashes = (offered & (feature::kRss | feature::kHashReport)) != 0;
  std::vector<std::uint8_t> image(hw::kNetConfigBytes);
  if ((offered & feature::kMac) != 0) put(image, hw::MAC::offset(), core_.mac);
  if ((offered & feature::kStatus) != 0) {
    const auto link = static_cast<std::uint16_t>(carrier_ && !lying_config_ ? 1 : 0);
    put(image, hw::NET_STATUS::offset(), static_cast<std::uint16_t>(link | (announcing_ ? 2 : 0)));
  }
  const auto pairs = lying_config_ ? std::uint16_t{1} : core_.options.pairs;
  if ((offered & (feature::kMq | feature::kRss)) != 0) put(image, hw::MAX_VIRTQUEUE_PAIRS::offset(), pairs);
  const auto mtu = lying_config_ ? CardOptions::kMinMtu : core_.options.mtu;
  if ((offered & feature::kMtu) != 0) put(image, hw::MTU::offset(), mtu);
  if ((offered & feature::kSpeedDuplex) != 0) {
    put(image, hw::SPEED::offset(), core_.options.speed);
    put(image, hw::DUPLEX::offset(), std::uint8_t{1});
  }
  if (hashes) {
    put(image, hw::RSS_MAX_KEY_SIZE::offset(), static_cast<std::uint8_t>(hw::kRssKeyBytes));
    put(image, hw::RSS_MAX_TABLE::offset(), static_cast<std::uint16_t>(hw::kRssTableEntries));
    put(image, hw::SUPPORTED_HASH_TYPES::offset(), kHashTypes);
  }
  return image;
}

void Card::write_common(std::uint32_t offset, unsigned width, std::uint32_t value) {
  const auto is = [&]<class R>(R*) { return offset == R::offset() && width == R::kBytes; };
#define IS(R) is(static_cast<hw::R*>(nullptr))
  if (IS(DEVICE_STATUS)) return write_status(static_cast<std::uint8_t>(value));
  if (IS(DEVICE_FEATURE_SELECT)) return void(device_feature_select_ = value);
  if (IS(DRIVER_FEATURE_SELECT)) return void(driver_feature_select_ = value);
  if (IS(QUEUE_SELECT)) return void(queue_select_ = static_cast<std::uint16_t>(value));
  if (IS(CONFIG_MSIX_VECTOR)) return void(config_vector_ = accept_vector(value));
  if (IS(DRIVER_FEATURE)) {
    // 3.1.1: features are fixed once FEATURES_OK is set.
    if (driver_feature_select_ >= kSelectLimit || (status_ & Status::FEATURES_OK.bits()) != 0) return ignore();
    const unsigned shift = 32 * driver_feature_select_;
    driver_features_ = (driver_features_ & ~(hw::Features{UINT32_MAX} << shift)) | hw::Features{value} << shift;
    return;
  }
#undef IS
  write_queue(offset, width, value);
}

// 4.1.5.1.2: a vector that the device cannot give reads as NO_VECTOR.
std::uint16_t Card::accept_vector(std::uint32_t value) const {
  return value < interrupt_vectors() ? static_cast<std::uint16_t>(value) : std::uint16_t{hw::kNoVector};
}

// 2.2.2: a device should refuse bits that it does not offer, or that lack what they need. [I-V-PLATFORM] It also
// refuses a driver without ACCESS_PLATFORM if it offers that, as QEMU's does (6.1: it may), and one without VERSION_1
// (6.1).
bool Card::accepts_features() const {
  const hw::Features wanted = driver_features_;
  const hw::Features must = core_.options.features & (feature::kVersion1 | feature::kAccessPlatform);
  return (wanted & ~core_.options.features) == 0 && (wanted & must) == must && hw::without_unmet(wanted) == wanted;
}

// 2.1.1: a driver sets one bit after the other, and clears them all with 0. 3.1.1 has the order.
void Card::write_status(std::uint8_t value) {
  if (value == 0) return reset_device();
  const std::uint32_t before = status_ & ~Status::NEEDS_RESET.bits();
  std::uint32_t wanted = value & ~Status::NEEDS_RESET.bits();
  if ((wanted & before) != before) return ignore();
  if ((wanted & ~before & Status::FEATURES_OK.bits()) != 0) {
    if (!accepts_features()) {
      wanted &= ~Status::FEATURES_OK.bits();
    } else {
      core_.features = driver_features_;
      core_.settings.guest_offloads = driver_features_;
    }
  }
  if ((wanted & Status::FEATURES_OK.bits()) == 0 && (wanted & Status::DRIVER_OK.bits()) != 0) {
    ignore();
    wanted &= ~Status::DRIVER_OK.bits();
  }
  status_ = static_cast<std::uint8_t>(wanted | (status_ & Status::NEEDS_RESET.bits()));
  if ((wanted & ~before & Status::DRIVER_OK.bits()) == 0) return;
  core_.ready = true;
  work_on_all();
}

// 4.1.4.3.2: the driver sets a queue up before it enables it. While it is enabled, its setup is fixed.
void Card::write_queue(std::uint32_t offset, unsigned width, std::uint32_t value) {
  Queue* const queue = selected();
  if (queue == nullptr) return ignore();
  Queue::Setup& setup = queue->setup();
  if (offset == hw::QUEUE_MSIX_VECTOR::offset() && width == 2) return void(setup.vector = accept_vector(value));
  if (offset == hw::QUEUE_RESET::offset() && width == 2)
    return value == 1 && core_.has(feature::kRingReset) && queue->enabled() ? reset_queue(*queue) : ignore();
  if (queue->enabled()) return ignore();
  if (offset == hw::QUEUE_SIZE::offset() && width == 2) return write_queue_size(*queue, value);
  if (offset == hw::QUEUE_ENABLE::offset() && width == 2) return value == 1 ? enable_queue(*queue) : ignore();
  const std::uint32_t area = (offset - hw::QUEUE_DESC::offset()) / 4;
  if (offset < hw::QUEUE_DESC::offset() || area >= 6 || width != 4 || offset % 4 != 0) return ignore();
  const unsigned shift = area % 2 * 32;
  std::uint64_t& address = setup.areas[area / 2];
  address = (address & ~(std::uint64_t{UINT32_MAX} << shift)) | std::uint64_t{value} << shift;
}

// 4.1.4.3.2: a power of two, unless the ring is packed. A device has its own limit.
void Card::write_queue_size(Queue& queue, std::uint32_t value) {
  const bool packed = (driver_features_ & feature::kRingPacked) != 0;
  if (value == 0 || value > core_.options.queue_size || (!packed && !std::has_single_bit(value))) return ignore();
  queue.setup().size = static_cast<std::uint16_t>(value);
}

// [I-V-ENABLE] A queue is enabled once the features are known, and only if its areas are aligned: the standard does not
// say what a device does with others. QUEUE_ENABLE then reads 0.
void Card::enable_queue(Queue& queue) {
  if ((status_ & Status::FEATURES_OK.bits()) == 0 || core_.broken || !queue.enable(core_.features)) return ignore();
  core_.restart_coalescing(queue.number());
  if (core_.running()) work(queue.number());
}

// 2.6.1: the queue returns to the state after a reset of the device. It takes no time here.
void Card::reset_queue(Queue& queue) {
  const std::uint16_t number = queue.number();
  if (number < core_.control_index() && number % 2 == 0) receive_.drop_backlog(number / 2);
  queue.reset();
}

}  // namespace pollux::models::virtio
