// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "pollux/device/device.hpp"
#include "pollux/device/trace.hpp"

namespace pollux::silicon {

/// A text file with every access of a probe to its devices, one a line. Equal accesses in a row are one line with a
/// count. Outlives the devices that it wraps.
class TraceFile {
 public:
  /// An empty path: nothing is written.
  explicit TraceFile(const std::filesystem::path& file);
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile();

  [[nodiscard]] std::unique_ptr<Device> wrap(std::unique_ptr<Device> device, std::string name);

 private:
  static constexpr std::uint64_t kMaxLines = 20000;

  void add(const std::string& name, const TraceEntry& entry);
  void write_last();

  std::ofstream out_;
  std::string last_;
  std::uint64_t times_ = 0;
  std::uint64_t lines_ = 0;
};

}  // namespace pollux::silicon
