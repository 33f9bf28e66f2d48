// SPDX-License-Identifier: BSD-3-Clause
// Merges arbitrary batches of frames, with arbitrary claims about their checksums, and segments the results. No buffer
// may be lost, a merged frame must be a valid request for segmentation, and its segments must be as many as the frames
// that it was made of. The last frame gets an arbitrary request, and an arbitrary header of the kernel.
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "fuzz/require.hpp"
#include "net/superframe.hpp"
#include "net/virtio_net_header.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/runtime/gro.hpp"
#include "pollux/runtime/gso.hpp"

namespace {

using namespace pollux;
using Bytes = std::span<const std::uint8_t>;
using test::require;

constexpr std::uint32_t kLongest = 1600;

Bytes take(Bytes& input, std::size_t count) {
  const Bytes part = input.first(std::min(count, input.size()));
  input = input.subspan(part.size());
  return part;
}

std::uint8_t take_byte(Bytes& input) {
  const Bytes part = take(input, 1);
  return part.empty() ? std::uint8_t{0} : part[0];
}

template <class T>
T take_value(Bytes& input) {
  T value{};
  const Bytes part = take(input, sizeof value);
  std::memcpy(&value, part.data(), part.size());
  return value;
}

class Merger {
 public:
  ~Merger() { require(pool_.stats().in_use() == 0, "all mbufs are back in the pool"); }

  void run(Bytes input) {
    const std::uint8_t options = take_byte(input);
    Gro gro({.udp = (options & 1) != 0, .vxlan_port = (options & 2) != 0 ? GroOptions::kVxlanPort : std::uint16_t{0}});
    Burst<64> burst;
    while (input.size() > 30 && !burst.full()) {
      MbufPtr frame = frame_of(input);
      require(burst.push(frame), "the burst has room");
    }
    const std::uint32_t received = burst.size();
    if (!burst.empty()) segment_arbitrarily(burst[received - 1], input);
    gro.merge(burst);
    require(gro.stats().received == received && gro.stats().merged + burst.size() == received && gro.held() == 0,
            "each frame is merged or delivered");
    std::uint32_t segments = 0;
    while (!burst.empty()) segments += segmented(burst.pop());
    require(segments == received, "segmentation gives as many frames as were merged");
  }

 private:
  /// A flag byte and a length, then the bytes; in two mbufs, if the flags say so.
  MbufPtr frame_of(Bytes& input) {
    const std::uint8_t flags = take_byte(input);
    const Bytes bytes = take(input, take_value<std::uint16_t>(input) % kLongest);
    MbufPtr frame = cache_.allocate();
    const std::size_t first = (flags & 1) != 0 ? bytes.size() / 2 : bytes.size();
    std::copy_n(bytes.begin(), first, frame->append(static_cast<std::uint32_t>(first)));
    if (first != bytes.size()) {
      MbufPtr rest = cache_.allocate();
      std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(first), bytes.end(),
                rest->append(static_cast<std::uint32_t>(bytes.size() - first)));
      require(frame->chain(rest), "a chain of two mbufs");
    }
    const auto status = [flags](unsigned shift) { return static_cast<ChecksumStatus>((flags >> shift & 3U) % 3U); };
    SoftwareRxMetadata{.vlan = (flags & 2) != 0 ? std::optional<std::uint16_t>(flags) : std::nullopt,
                       .ip_checksum = status(4),
                       .l4_checksum = status(6)}
        .attach_to(*frame);
    return frame;
  }
  /// The number of frames that a frame goes out as.
  std::uint32_t segmented(MbufPtr frame) {
    if ((frame->tx_offload().flags & TxOffload::kSegmentation) == 0) return 1;
    Segmenter segmenter;
    require(segmenter.start(frame, {}), "a merged frame can be segmented");
    return count_segments(segmenter, UINT32_MAX);
  }
  std::uint32_t count_segments(Segmenter& segmenter, std::uint32_t longest) {
    std::uint32_t count = 0;
    for (;;) {
      Burst<64> segments;
      const auto outcome = segmenter.next(cache_, segments);
      for (const Mbuf& one : segments) require(one.packet_length() <= longest, "a segment is not too long");
      count += segments.size();
      segments.drop(seen_, cache_);
      if (outcome == Segmenter::Outcome::complete) return count;
      require(outcome == Segmenter::Outcome::more, "there are mbufs");
    }
  }
  /// A copy of the frame, with requests that have nothing to do with it.
  void segment_arbitrarily(const Mbuf& frame, Bytes& input) {
    std::vector<std::uint8_t> bytes(frame.packet_length());
    static_cast<void>(frame.copy_out(0, bytes));
    const auto header = take_value<VirtioNetHeader>(input);
    if (const auto request = superframe_request(header, bytes))
      require(request->l4_offset() + request->l4 <= bytes.size(), "the headers of a superframe lie in it");
    MbufPtr copy = cache_.allocate();
    std::copy(bytes.begin(), bytes.end(), copy->append(static_cast<std::uint32_t>(bytes.size())));
    copy->set_tx_offload(take_value<TxOffload>(input));
    const TxOffload request = copy->tx_offload();
    Segmenter segmenter;
    if (!segmenter.start(copy, {})) return;
    constexpr std::uint32_t kTwoTags = 8;
    count_segments(segmenter, request.l4_offset() + request.l4 + request.segment_size + kTwoTags);
  }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 512}).value();
  MempoolCache cache_{pool_};
  DropCounter seen_{"seen"};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Merger merger;
  merger.run({data, size});
  return 0;
}
