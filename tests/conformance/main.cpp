// SPDX-License-Identifier: BSD-3-Clause
// The suite has its own main function, because the pairs and their traits determine the tests.
#include <gmock/gmock.h>

#include <fmt/format.h>

#include <algorithm>

#include "conformance/fixture.hpp"

namespace pollux::conformance {
namespace {

std::vector<Case>& declared_cases() {
  static std::vector<Case> cases;
  return cases;
}

/// Fails in place of a case that applies to no pair, which would otherwise never run.
class Orphan : public testing::Test {
  void TestBody() override { FAIL() << "this case applies to no known pair"; }
};

bool applies_somewhere(const Case& one) {
  const std::vector<Pair> built_in = built_in_pairs();
  const std::vector<Traits> given = traits_of_given_pairs();
  return std::any_of(built_in.begin(), built_in.end(), [&](const Pair& pair) { return one.applies(pair.traits); }) ||
         std::any_of(given.begin(), given.end(), one.applies);
}

}  // namespace

bool declare(const Case& declared) {
  declared_cases().push_back(declared);
  return true;
}

void instantiate() {
  for (const Case& one : declared_cases()) {
    const std::string suite = fmt::format("Ports/{}", one.fixture);
    if (!applies_somewhere(one)) {
      testing::RegisterTest("Orphans", one.name, nullptr, nullptr, one.file, one.line,
                            []() -> Orphan* { return new Orphan; });
    }
    for (const Pair& pair : pairs()) {
      if (!one.applies(pair.traits)) continue;
      const auto make = [&pair, make = one.make]() -> Conformance* {
        Conformance* const test = make();
        test->use(pair);
        return test;
      };
      testing::RegisterTest(suite.c_str(), fmt::format("{}/{}", one.name, pair.name).c_str(), nullptr, nullptr,
                            one.file, one.line, make);
    }
  }
}

}  // namespace pollux::conformance

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  pollux::conformance::instantiate();
  return RUN_ALL_TESTS();
}
