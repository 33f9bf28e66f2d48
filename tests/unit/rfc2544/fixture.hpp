// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "bench/rfc2544.hpp"

namespace pollux::tool::bench {

/// A test bed of in-process cards with a device under test between them.
struct BenchFixture {
  explicit BenchFixture(const std::string& device, const std::string& sending = "sim:0", std::uint32_t max_size = 1518,
                        std::optional<std::uint64_t> line_rate = {}) {
    const auto parsed = parse_device(device);
    EXPECT_TRUE(parsed);
    auto plan = plan_ports(sending, "sim:1", *parsed, std::nullopt);
    EXPECT_TRUE(plan);
    auto opened = TestBed::open({.ports = *plan, .device = *parsed, .line_rate = line_rate, .max_size = max_size});
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
    bed = *std::move(opened);
    runner.emplace(*bed);
  }
  TrialResult run(const TrialRequest& request) {
    auto result = runner->run(request);
    EXPECT_TRUE(result);
    return *std::move(result);
  }

  std::unique_ptr<TestBed> bed;
  std::optional<TrialRunner> runner;
};

}  // namespace pollux::tool::bench
