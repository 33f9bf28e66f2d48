// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/register_file.hpp"

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {

RegisterFile::RegisterFile(const hw::CardTraits& traits)
    : traits_(traits), words_(hw::kRegisterBytes / 4), read_hooks_(1), write_hooks_(1) {
  for (const RegisterInfo& info : hw::registers_of(traits)) add_register(info);
}

void RegisterFile::add_register(const RegisterInfo& info) {
  for (std::uint32_t i = 0; i < info.stride.count; ++i) {
    Word& word = words_[info.at(i) / 4];
    word.target = static_cast<std::uint16_t>(info.at(i) / 4);
    word.index = static_cast<std::uint16_t>(i);
    registers_.push_back(word.target);
    word.access = info.access;
    word.known = true;
    word.cleared_by_write = traits_.errata.drops_need_write && info.name == "RQDPC";
  }
  for (std::uint32_t i = 0; i < info.alias.count; ++i) {
    Word& word = words_[(info.alias.offset + i * info.alias.bytes) / 4];
    word.target = static_cast<std::uint16_t>(info.at(i) / 4);
    word.known = true;
  }
}

RegisterFile::Word* RegisterFile::find(std::uint32_t offset) {
  if (offset / 4 < words_.size() && offset % 4 == 0 && words_[offset / 4].known) {
    return &words_[words_[offset / 4].target];
  }
  ++unknown_accesses_;
  return nullptr;
}

std::uint32_t RegisterFile::read(std::uint32_t offset) {
  Word* const word = find(offset);
  if (word == nullptr) return 0;
  if (word->read_hook != 0) return read_hooks_[word->read_hook](word->index);
  if (word->access == Access::wo) return 0;
  const std::uint32_t value = word->value;
  if (clears_on_read(word->access) && !word->cleared_by_write) word->value = 0;
  return value;
}

void RegisterFile::write(std::uint32_t offset, std::uint32_t value) {
  Word* const word = find(offset);
  if (word == nullptr) return;
  if (word->write_hook != 0) return write_hooks_[word->write_hook](word->index, value);
  switch (word->access) {
    case Access::rw:
    case Access::rw_rc:
    case Access::wo: word->value = value; return;
    case Access::w1c:
    case Access::rc_w1c: word->value &= ~value; return;
    case Access::rc:
      if (word->cleared_by_write) word->value = value;
      return;
    case Access::ro: return;
  }
}

void RegisterFile::clear() {
  for (const std::uint16_t number : registers_) words_[number].value = 0;
}

Statistics::Statistics(RegisterFile& registers) : registers_(registers) {
  install_clear_hooks<hw::GORCL, hw::GORCH>();
  install_clear_hooks<hw::GOTCL, hw::GOTCH>();
  install_clear_hooks<hw::TORL, hw::TORH>();
  install_clear_hooks<hw::TOTL, hw::TOTH>();
  install_clear_hooks<hw::HGORCL, hw::HGORCH>();
  install_clear_hooks<hw::HGOTCL, hw::HGOTCH>();
}

template <class Low, class High>
void Statistics::install_clear_hooks() {
  registers_.on_read<Low>([this](std::uint32_t) { return registers_.get<Low>().raw(); });
  registers_.on_read<High>([this](std::uint32_t) {
    const std::uint32_t high = registers_.get<High>().raw();
    registers_.set<Low>(typename Low::Value());
    registers_.set<High>(typename High::Value());
    return high;
  });
}

template <class Low, class High>
void Statistics::add_octets(std::uint64_t octets) {
  const std::uint64_t before = std::uint64_t{registers_.get<High>().raw()} << 32 | registers_.get<Low>().raw();
  const std::uint64_t after = before > ~octets ? ~std::uint64_t{0} : before + octets;
  registers_.set<Low>(typename Low::Value(static_cast<std::uint32_t>(after)));
  registers_.set<High>(typename High::Value(static_cast<std::uint32_t>(after >> 32)));
}

void Statistics::arrived(std::size_t bytes) {
  count<hw::TPR>();
  add_octets<hw::TORL, hw::TORH>(bytes);
}

void Statistics::received(std::span<const std::byte> frame) {
  const std::size_t bytes = frame.size() + hw::kCrcBytes;
  count<hw::GPRC>();
  count<hw::RPTHC>();
  add_octets<hw::GORCL, hw::GORCH>(bytes);
  add_octets<hw::HGORCL, hw::HGORCH>(bytes);
  if (is_broadcast(frame)) {
    count<hw::BPRC>();
  } else if (is_multicast(frame)) {
    count<hw::MPRC>();
  }
  if (bytes <= 64) return count<hw::PRC64>();
  if (bytes <= 127) return count<hw::PRC127>();
  if (bytes <= 255) return count<hw::PRC255>();
  if (bytes <= 511) return count<hw::PRC511>();
  if (bytes <= 1023) return count<hw::PRC1023>();
  count<hw::PRC1522>();
}

// These wrap and are not cleared by a read. Linux igbvf, netdev.c, igbvf_update_stats.
template <class R>
void Statistics::add_to_pool(std::uint32_t pool, std::size_t amount) {
  registers_.set<R>(pool, typename R::Value(registers_.get<R>(pool).raw() + static_cast<std::uint32_t>(amount)));
}

void Statistics::received_by_pool(std::uint32_t pool, std::span<const std::byte> frame, bool inside) {
  const std::size_t bytes = frame.size() + hw::kCrcBytes;
  add_to_pool<hw::PVFGPRC>(pool, 1);
  add_to_pool<hw::PVFGORC>(pool, bytes);
  if (is_multicast(frame) && !is_broadcast(frame)) add_to_pool<hw::PVFMPRC>(pool, 1);
  if (!inside) return;
  add_to_pool<hw::PVFGPRLBC>(pool, 1);
  add_to_pool<hw::PVFGORLBC>(pool, bytes);
}

void Statistics::sent_by_pool(std::uint32_t pool, std::span<const std::byte> frame, bool inside) {
  const std::size_t bytes = frame.size() + hw::kCrcBytes;
  add_to_pool<hw::PVFGPTC>(pool, 1);
  add_to_pool<hw::PVFGOTC>(pool, bytes);
  if (!inside) return;
  add_to_pool<hw::PVFGPTLBC>(pool, 1);
  add_to_pool<hw::PVFGOTLBC>(pool, bytes);
}

void Statistics::left(std::size_t bytes) {
  count<hw::TPT>();
  add_octets<hw::TOTL, hw::TOTH>(bytes);
}

void Statistics::sent(std::span<const std::byte> frame) {
  const std::size_t bytes = frame.size() + hw::kCrcBytes;
  left(bytes);
  if (bytes < hw::kMinFrameBytes) return;  // not a good packet: 8254x manual, 13.7.30
  count<hw::GPTC>();
  count<hw::HGPTC>();
  add_octets<hw::GOTCL, hw::GOTCH>(bytes);
  add_octets<hw::HGOTCL, hw::HGOTCH>(bytes);
  if (is_broadcast(frame)) {
    count<hw::BPTC>();
  } else if (is_multicast(frame)) {
    count<hw::MPTC>();
  }
  if (bytes <= 64) return count<hw::PTC64>();
  if (bytes <= 127) return count<hw::PTC127>();
  if (bytes <= 255) return count<hw::PTC255>();
  if (bytes <= 511) return count<hw::PTC511>();
  if (bytes <= 1023) return count<hw::PTC1023>();
  count<hw::PTC1522>();
}

}  // namespace pollux::models::igb
