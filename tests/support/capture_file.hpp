// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace pollux::test {

/// Builds the bytes of a capture file (libpcap's pcap-savefile(5)), which may be invalid in any way.
class CaptureFile {
 public:
  static constexpr std::uint32_t kMicroseconds = 0xA1B2C3D4;
  static constexpr std::uint32_t kNanoseconds = 0xA1B23C4D;
  static constexpr std::uint32_t kEthernet = 1;

  explicit CaptureFile(std::uint32_t magic = kMicroseconds, std::uint32_t link_type = kEthernet) {
    put(magic);
    put(std::uint16_t{2});
    put(std::uint16_t{4});
    put(std::uint32_t{0});
    put(std::uint32_t{0});
    put(std::uint32_t{65535});
    put(link_type);
  }
  /// `fraction` is in the file's unit. `length` is the record's length on the wire; -1 means the number of bytes.
  CaptureFile& add(const std::vector<std::uint8_t>& frame, std::uint32_t seconds = 0, std::uint32_t fraction = 0,
                   std::int64_t length = -1) {
    put(seconds);
    put(fraction);
    put(static_cast<std::uint32_t>(frame.size()));
    put(length < 0 ? static_cast<std::uint32_t>(frame.size()) : static_cast<std::uint32_t>(length));
    bytes_.insert(bytes_.end(), frame.begin(), frame.end());
    return *this;
  }
  CaptureFile& cut(std::size_t bytes) {
    bytes_.erase(bytes_.end() - static_cast<std::ptrdiff_t>(bytes), bytes_.end());
    return *this;
  }
  template <class T>
  CaptureFile& put(T value) {
    const auto* const first = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof value);
    return *this;
  }
  const CaptureFile& write(const std::string& path) const {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
    return *this;
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// Builds the blocks of a pcapng file (draft-ietf-opsawg-pcapng, 4), in this machine's byte order.
class PcapngFile {
 public:
  /// With a Section Header Block.
  PcapngFile() { block(0x0A0D0D0A, {0x1A2B3C4D, 1, 0xFFFFFFFF, 0xFFFFFFFF}); }

  /// An Interface Description Block, with the option if_fcslen unless that is 0.
  PcapngFile& interface(std::uint32_t fcs_bytes = 0, std::uint32_t snap_length = 262144, std::uint16_t link_type = 1) {
    if (fcs_bytes == 0) return block(1, {link_type, snap_length});
    return block(1, {link_type, snap_length, 1U << 16U | 13U, fcs_bytes, 0});
  }
  /// An Enhanced Packet Block, `time` in microseconds. `flags` is the option epb_flags, without it 0. `length` is that
  /// on the wire; -1 means the number of bytes.
  PcapngFile& frame(std::uint32_t interface, std::uint64_t time, std::vector<std::uint8_t> bytes,
                    std::uint32_t flags = 0, std::int64_t length = -1) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    bytes.resize((bytes.size() + 3) / 4 * 4);
    std::vector<std::uint32_t> words{interface, static_cast<std::uint32_t>(time >> 32U),
                                     static_cast<std::uint32_t>(time), size,
                                     length < 0 ? size : static_cast<std::uint32_t>(length)};
    const std::size_t header = words.size();
    words.resize(header + bytes.size() / 4);
    if (!bytes.empty()) std::memcpy(&words[header], bytes.data(), bytes.size());
    if (flags != 0) words.insert(words.end(), {4U << 16U | 2U, flags, 0});
    return block(6, words);
  }
  PcapngFile& block(std::uint32_t type, const std::vector<std::uint32_t>& body) {
    const auto length = static_cast<std::uint32_t>((body.size() + 3) * sizeof(std::uint32_t));
    words_.insert(words_.end(), {type, length});
    words_.insert(words_.end(), body.begin(), body.end());
    words_.push_back(length);
    return *this;
  }
  const PcapngFile& write(const std::string& path) const {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(words_.data()),
               static_cast<std::streamsize>(words_.size() * sizeof(std::uint32_t)));
    return *this;
  }

 private:
  std::vector<std::uint32_t> words_;
};

/// The contents of a file that the port wrote: pcap with nanoseconds, in this machine's byte order.
struct WrittenFile {
  struct Record {
    std::uint32_t seconds;
    std::uint32_t nanoseconds;
    std::vector<std::uint8_t> frame;
  };
  std::uint32_t magic = 0;
  std::vector<Record> records;
  bool whole = true;  ///< it ends at the end of a record

  explicit WrittenFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::size_t at = 0;
    const auto word = [&] {
      std::uint32_t value = 0;
      if (at + sizeof value > bytes.size()) {
        whole = false;
        return value;
      }
      std::memcpy(&value, bytes.data() + at, sizeof value);
      at += sizeof value;
      return value;
    };
    magic = word();
    at = 24;
    while (at < bytes.size() && whole) {
      Record record{.seconds = word(), .nanoseconds = word(), .frame = {}};
      const std::uint32_t captured = word();
      word();
      if (!whole || at + captured > bytes.size()) {
        whole = false;
        return;
      }
      record.frame.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                          bytes.begin() + static_cast<std::ptrdiff_t>(at + captured));
      at += captured;
      records.push_back(std::move(record));
    }
  }
};

}  // namespace pollux::test
