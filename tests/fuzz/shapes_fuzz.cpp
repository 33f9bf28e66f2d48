// SPDX-License-Identifier: BSD-3-Clause
// Requests checksums of packets with all kinds of headers, as they are and with changed bytes. Only checksums may
// change, and those of unchanged packets are as in packets that are made without the library.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "fuzz/require.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "support/header_shapes.hpp"

namespace {

using namespace pollux;
using test::require;
using test::ShapeBytes;
using test::ShapePacket;
using test::ShapeTransport;

constexpr std::size_t kPayload = 255;
constexpr std::size_t kChanges = 8;

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool is_empty() const { return bytes_.empty(); }
  std::uint8_t next() {
    if (bytes_.empty()) return 0;
    const std::uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class Requester {
 public:
  void run(Input input) {
    const test::HeaderShape& shape = shapes_[input.next() % shapes_.size()];
    ShapePacket packet{.transport = test::kShapeTransports[input.next() % std::size(test::kShapeTransports)]};
    if (packet.transport == ShapeTransport::udp) packet.surplus = input.next() % 16;
    const ShapeBytes payload(input.next() % kPayload, 0x5A);
    const std::uint32_t ip = shape.is_ipv4() ? std::uint32_t{TxOffload::ipv4_checksum} : 0U;
    const TxOffload request{.flags = packet.checksum_flag() | ip, .l2 = shape.l2, .l3 = shape.l3};
    ShapeBytes sent = packet.unsummed(shape, payload, request);
    const std::size_t first = input.next() % 2 != 0 ? sent.size() / 2 : sent.size();
    const bool is_changed = change(sent, input);

    const MbufPtr frame = frame_of(sent, first);
    const bool is_taken = request_checksums(*frame, request);
    require(is_changed || is_taken == shape.has_checksum, "a request is taken or refused: " + shape.name);
    if (!is_taken) return require(content(*frame) == sent, "a refused request changes nothing");
    const bool is_complete = complete_checksums(*frame) == ChecksumCompletion::complete;
    const ShapeBytes now = content(*frame);
    require(is_changed || (is_complete && now == packet.bytes(shape, payload)),
            "the checksums are right: " + shape.name);
    require(without_checksums(now, shape, packet) == without_checksums(sent, shape, packet), "only checksums change");
  }

 private:
  static bool change(ShapeBytes& bytes, Input& input) {
    const ShapeBytes before = bytes;
    for (std::size_t i = 0; i < kChanges && !input.is_empty(); ++i) {
      std::uint8_t& byte = bytes[input.next() % bytes.size()];
      byte = static_cast<std::uint8_t>(byte ^ input.next());
    }
    return bytes != before;
  }
  static ShapeBytes without_checksums(ShapeBytes bytes, const test::HeaderShape& shape, const ShapePacket& packet) {
    const auto clear = [&bytes](std::size_t at, std::size_t count) {
      for (std::size_t i = at; i < at + count && i < bytes.size(); ++i) bytes[i] = 0;
    };
    if (shape.is_ipv4()) clear(shape.l2 + 10U, 2);
    const std::size_t l4 = std::size_t{shape.l2} + shape.l3;
    clear(l4 + packet.checksum_at(), packet.transport == ShapeTransport::sctp ? 4 : 2);
    return bytes;
  }
  /// In two mbufs, unless `first` is all of it.
  MbufPtr frame_of(std::span<const std::uint8_t> bytes, std::size_t first) {
    MbufPtr frame = cache_.allocate();
    std::copy_n(bytes.begin(), first, frame->append(static_cast<std::uint32_t>(first)));
    if (first != bytes.size()) {
      MbufPtr rest = cache_.allocate();
      const auto left = bytes.subspan(first);
      std::copy(left.begin(), left.end(), rest->append(static_cast<std::uint32_t>(left.size())));
      require(frame->chain(rest), "a chain of two mbufs");
    }
    return frame;
  }
  static ShapeBytes content(const Mbuf& frame) {
    ShapeBytes bytes(frame.packet_length());
    require(frame.copy_out(0, bytes) == bytes.size(), "all bytes can be copied");
    return bytes;
  }

  std::vector<test::HeaderShape> shapes_ = test::header_shapes();
  Context context_{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 25}};
  Mempool pool_ = Mempool::create(context_, {.count = 64}).value();
  MempoolCache cache_{pool_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Requester requester;
  requester.run(Input({data, size}));
  return 0;
}
