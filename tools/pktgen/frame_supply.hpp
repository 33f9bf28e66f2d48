// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pktgen/frame_file.hpp"
#include "pktgen/frame_source.hpp"
#include "pktgen/options.hpp"
#include "pktgen/pacer.hpp"

namespace pollux::tools {

/// What a command line says to send: frames of pktgen, a user's templates, or a capture file.
class FrameSupply {
 public:
  /// The destination and source of pktgen's own frames, unless the user gave others.
  struct Addresses {
    MacAddress destination;
    MacAddress source;
  };

  /// Loads the user's file. `options` outlives the object. Errors: those of read_frames; invalid_argument for a replay
  /// that repeats frames which all have one time, without a rate.
  [[nodiscard]] static Result<FrameSupply> load(const PktgenOptions& options);

  /// The bytes of the longest frame on the wire, with FCS.
  [[nodiscard]] std::uint32_t largest() const noexcept;
  /// "frames of 64 bytes", "12 frames of FILE in turn".
  [[nodiscard]] std::string text() const;
  /// The frames of one queue. Errors: those of TemplateFrames::create.
  [[nodiscard]] Result<std::unique_ptr<FrameSource>> source(const Addresses& addresses, std::uint32_t queue) const;

 private:
  explicit FrameSupply(const PktgenOptions& options) : options_(&options) {}
  [[nodiscard]] std::unique_ptr<FrameSource> numbered(const Addresses& addresses, std::uint32_t queue) const;

  const PktgenOptions* options_;
  Recording recorded_;  // nullptr for pktgen's own frames
};

/// How fast one queue sends. Error: not_supported for a share of the line rate of a port that has none.
[[nodiscard]] Result<Pace> pace_of(const PktgenOptions& options, const Link& link, std::uint32_t largest,
                                   std::uint32_t queue);

}  // namespace pollux::tools
