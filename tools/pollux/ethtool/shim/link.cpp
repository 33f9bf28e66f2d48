// SPDX-License-Identifier: BSD-3-Clause
// The link: ethtool without an option and -s, -a and -A, -r.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

/// Words of a set of link modes. The kernel 6.1 has as many; ethtool takes what it is told.
constexpr std::int8_t kWords = 3;
/// The PHY of an 82576 on its management bus.
constexpr std::uint8_t kPhyAddress = 1;

/// A set of link modes.
struct Modes {
  std::array<std::uint32_t, kWords> words{};

  void insert(unsigned bit) { words[bit / 32] |= std::uint32_t{1} << bit % 32; }
  /// Whether it had the mode.
  bool remove(unsigned bit) {
    const bool had = (words[bit / 32] >> bit % 32 & 1) != 0;
    words[bit / 32] &= ~(std::uint32_t{1} << bit % 32);
    return had;
  }
};

/// A mode of docs/telemetry.md, which names no medium, and its bit: that of twisted pairs, or of a copper cable.
struct Mode {
  std::string_view name;
  unsigned bit = 0;
};
constexpr std::array kModes{Mode{"10/half", ETHTOOL_LINK_MODE_10baseT_Half_BIT},
                            Mode{"10/full", ETHTOOL_LINK_MODE_10baseT_Full_BIT},
                            Mode{"100/half", ETHTOOL_LINK_MODE_100baseT_Half_BIT},
                            Mode{"100/full", ETHTOOL_LINK_MODE_100baseT_Full_BIT},
                            Mode{"1000/half", ETHTOOL_LINK_MODE_1000baseT_Half_BIT},
                            Mode{"1000/full", ETHTOOL_LINK_MODE_1000baseT_Full_BIT},
                            Mode{"2500/full", ETHTOOL_LINK_MODE_2500baseT_Full_BIT},
                            Mode{"5000/full", ETHTOOL_LINK_MODE_5000baseT_Full_BIT},
                            Mode{"10000/full", ETHTOOL_LINK_MODE_10000baseT_Full_BIT},
                            Mode{"20000/full", ETHTOOL_LINK_MODE_20000baseKR2_Full_BIT},
                            Mode{"25000/full", ETHTOOL_LINK_MODE_25000baseCR_Full_BIT},
                            Mode{"40000/full", ETHTOOL_LINK_MODE_40000baseCR4_Full_BIT},
                            Mode{"50000/full", ETHTOOL_LINK_MODE_50000baseCR2_Full_BIT},
                            Mode{"100000/full", ETHTOOL_LINK_MODE_100000baseCR4_Full_BIT},
                            Mode{"200000/full", ETHTOOL_LINK_MODE_200000baseCR4_Full_BIT},
                            Mode{"400000/full", ETHTOOL_LINK_MODE_400000baseCR8_Full_BIT}};

constexpr unsigned kAutoneg = ETHTOOL_LINK_MODE_Autoneg_BIT;
constexpr unsigned kPair = ETHTOOL_LINK_MODE_TP_BIT;
constexpr unsigned kPause = ETHTOOL_LINK_MODE_Pause_BIT;
constexpr unsigned kAsymmetricPause = ETHTOOL_LINK_MODE_Asym_Pause_BIT;

void insert_all(Modes& modes, const Json& names) {
  for (const Mode& mode : kModes) {
    if (contains(names, mode.name)) modes.insert(mode.bit);
  }
}

/// What a wish for pause frames advertises: IEEE 802.3, table 28B-3, as Linux's igb does.
void insert_pause(Modes& modes, const Json& pause) {
  const bool receive = flag(pause, "receive");
  if (receive) modes.insert(kPause);
  if (receive != flag(pause, "transmit")) modes.insert(kAsymmetricPause);
}

void put_link(ethtool_link_settings& settings, const Json& link) {
  const bool up = flag(link, "up");
  settings.speed = up ? static_cast<std::uint32_t>(number(link, "speed")) : static_cast<std::uint32_t>(SPEED_UNKNOWN);
  settings.duplex = DUPLEX_UNKNOWN;
  if (up) settings.duplex = text(link, "duplex") == "half" ? DUPLEX_HALF : DUPLEX_FULL;
}

/// The masks follow the structure: supported, advertised, the partner's.
struct Masks {
  Modes supported;
  Modes advertised;
  Modes partner;
};

Masks put_details(ethtool_link_settings& settings, const Json& details, const Json& set) {
  settings.port = PORT_TP;
  settings.phy_address = kPhyAddress;
  settings.transceiver = XCVR_INTERNAL;
  const bool forced = !member(member(set, "link"), "forced").is_null();
  settings.autoneg = forced ? AUTONEG_DISABLE : AUTONEG_ENABLE;
  settings.eth_tp_mdix_ctrl = ETH_TP_MDI_AUTO;
  if (const Json& crossed = member(details, "mdix"); crossed.is_boolean())
    settings.eth_tp_mdix = crossed == true ? ETH_TP_MDI_X : ETH_TP_MDI;
  Masks masks;
  for (const unsigned bit : {kAutoneg, kPair, kPause}) masks.supported.insert(bit);
  insert_all(masks.supported, member(details, "supported"));
  masks.advertised.insert(kPair);
  if (!forced) {
    masks.advertised.insert(kAutoneg);
    insert_all(masks.advertised, member(details, "advertised"));
    insert_pause(masks.advertised, member(member(set, "flow_control"), "pause"));
  }
  const Json& partner = member(details, "partner");
  insert_all(masks.partner, member(partner, "modes"));
  if (flag(partner, "negotiates")) masks.partner.insert(kAutoneg);
  if (flag(partner, "pause")) masks.partner.insert(kPause);
  if (flag(partner, "asymmetric_pause")) masks.partner.insert(kAsymmetricPause);
  return masks;
}

int read_settings(Port& port, ethtool_link_settings& settings, Masks& masks) {
  Json link;
  if (const int error = port.ask("port.link", link, {{"details", true}})) return error;
  put_link(settings, link);
  settings.port = PORT_OTHER;
  settings.autoneg = flag(link, "autonegotiated") ? AUTONEG_ENABLE : AUTONEG_DISABLE;
  const Json& details = member(link, "details");
  if (!details.is_object()) return 0;
  Json set;
  if (const int error = port.settings(set)) return error;
  masks = put_details(settings, details, set);
  return 0;
}

// The first request has no room for masks; the answer says how many words each needs. ethtool then asks again.
int link_settings(Port& port, void* data) {
  auto& settings = *static_cast<ethtool_link_settings*>(data);
  const bool has_room = settings.link_mode_masks_nwords == kWords;
  settings = {};
  settings.cmd = ETHTOOL_GLINKSETTINGS;
  settings.link_mode_masks_nwords = has_room ? kWords : static_cast<std::int8_t>(-kWords);
  if (!has_room) return 0;
  Masks masks;
  if (const int error = read_settings(port, settings, masks)) return error;
  std::uint32_t* words = settings.link_mode_masks;
  for (const Modes& modes : {masks.supported, masks.advertised, masks.partner})
    words = std::copy(modes.words.begin(), modes.words.end(), words);
  return 0;
}

// The request of before the masks were longer. ethtool -a sends it to learn what was negotiated.
int old_settings(Port& port, void* data) {
  ethtool_link_settings settings{};
  Masks masks;
  if (const int error = read_settings(port, settings, masks)) return error;
  auto& answer = *static_cast<ethtool_cmd*>(data);
  answer = {};
  answer.cmd = ETHTOOL_GSET;
  answer.supported = masks.supported.words[0];
  answer.advertising = masks.advertised.words[0];
  answer.lp_advertising = masks.partner.words[0];
  ethtool_cmd_speed_set(&answer, settings.speed);
  answer.duplex = settings.duplex;
  answer.port = settings.port;
  answer.phy_address = settings.phy_address;
  answer.transceiver = settings.transceiver;
  answer.autoneg = settings.autoneg;
  answer.eth_tp_mdix = settings.eth_tp_mdix;
  answer.eth_tp_mdix_ctrl = settings.eth_tp_mdix_ctrl;
  return 0;
}

const Mode* forced_mode(const ethtool_link_settings& settings) {
  const std::string name = std::to_string(settings.speed) + (settings.duplex == DUPLEX_HALF   ? "/half"
                                                             : settings.duplex == DUPLEX_FULL ? "/full"
                                                                                              : "");
  for (const Mode& mode : kModes) {
    if (mode.name == name) return &mode;
  }
  return nullptr;
}

int force_mode(Port& port, const ethtool_link_settings& settings) {
  const Mode* const mode = forced_mode(settings);
  if (mode != nullptr) return port.set({{"link", {{"forced", mode->name}}}});
  explain("a forced mode needs a speed and a duplex mode", "add for example: speed 100 duplex full");
  return EINVAL;
}

int set_link_settings(Port& port, void* data) {
  const auto& settings = *static_cast<const ethtool_link_settings*>(data);
  if (settings.link_mode_masks_nwords != kWords) return EINVAL;
  if (settings.port == PORT_OTHER) {  // as read_settings answers
    explain(port.name() + " has no link that can be set", "leave it as it is, or use a port of an Intel card");
    return EOPNOTSUPP;
  }
  const bool changes_more =
      settings.port != PORT_TP || settings.phy_address != kPhyAddress ||
      (settings.eth_tp_mdix_ctrl != ETH_TP_MDI_AUTO && settings.eth_tp_mdix_ctrl != ETH_TP_MDI_INVALID);
  if (changes_more) {
    explain("the connector, the PHY's address and MDI-X cannot be set", "set speed, duplex, autoneg or advertise");
    return EOPNOTSUPP;
  }
  if (settings.autoneg == AUTONEG_DISABLE) return force_mode(port, settings);
  Modes left;
  std::copy_n(settings.link_mode_masks + kWords, kWords, left.words.begin());
  for (const unsigned bit : {kAutoneg, kPair, kPause, kAsymmetricPause}) left.remove(bit);
  Json modes = Json::array();
  for (const Mode& mode : kModes) {
    if (left.remove(mode.bit)) modes.push_back(mode.name);
  }
  if (left.words != Modes().words) {
    explain("a mode to advertise is not known", "ethtool without options shows the modes of a port");
    return EINVAL;
  }
  return port.set({{"link", {{"advertised", modes}, {"forced", nullptr}}}});
}

int link_state(Port& port, void* data) {
  Json link;
  if (const int error = port.ask("port.link", link)) return error;
  static_cast<ethtool_value*>(data)->data = flag(link, "up") ? 1 : 0;
  return 0;
}

int pause(Port& port, void* data) {
  Json state;
  if (const int error = port.ask("port.flow_control", state)) return error;
  const Json& wanted = member(state, "pause");
  auto& answer = *static_cast<ethtool_pauseparam*>(data);
  answer.autoneg = flag(state, "autonegotiate") ? 1 : 0;
  answer.rx_pause = flag(wanted, "receive") ? 1 : 0;
  answer.tx_pause = flag(wanted, "transmit") ? 1 : 0;
  return 0;
}

int set_pause(Port& port, void* data) {
  const auto& wanted = *static_cast<const ethtool_pauseparam*>(data);
  return port.set({{"flow_control",
                    {{"autonegotiate", wanted.autoneg != 0},
                     {"pause", {{"receive", wanted.rx_pause != 0}, {"transmit", wanted.tx_pause != 0}}}}}});
}

int restart_negotiation(Port& port, void* /*data*/) { return port.change("port.restart_link"); }

constexpr std::array kLinkVerbs{
    Verb{ETHTOOL_GLINKSETTINGS, link_settings},
    Verb{ETHTOOL_SLINKSETTINGS, set_link_settings},
    Verb{ETHTOOL_GSET, old_settings},
    Verb{ETHTOOL_GLINK, link_state},
    Verb{ETHTOOL_GPAUSEPARAM, pause},
    Verb{ETHTOOL_SPAUSEPARAM, set_pause},
    Verb{ETHTOOL_NWAY_RST, restart_negotiation},
};

}  // namespace

std::span<const Verb> link_verbs() { return kLinkVerbs; }

}  // namespace pollux::ethtool
