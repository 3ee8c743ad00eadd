#include "notify/domain/templates.h"

#include <algorithm>
#include <array>

namespace flotilla::notify {
namespace {

constexpr std::array<std::string_view, 2> kLanguages = {kDefaultLanguage, "de"};

struct Template {
  std::string_view type;  // empty: of every other type
  std::array<std::string_view, kLanguages.size()> texts;
};

constexpr Template kTemplates[] = {
    {"order.reserved",
     {"Your order {order} is reserved; payment is under way.",
      "Ihre Bestellung {order} ist reserviert; die Zahlung läuft."}},
    {"order.awaiting_payment",
     {"Your order {order} is reserved and waits for your payment.",
      "Ihre Bestellung {order} ist reserviert und wartet auf Ihre Zahlung."}},
    {"order.paid", {"Your order {order} is paid.", "Ihre Bestellung {order} ist bezahlt."}},
    {"order.cancelling", {"Your order {order} is being cancelled.", "Ihre Bestellung {order} wird storniert."}},
    {"order.cancelled",
     {"Your order {order} is cancelled[: {reason}].", "Ihre Bestellung {order} ist storniert[: {reason}]."}},
    {"order.refunding", {"Your order {order} is being refunded.", "Ihre Bestellung {order} wird erstattet."}},
    {"order.refunded", {"Your order {order} is refunded.", "Ihre Bestellung {order} ist erstattet."}},
    {"order.partially_refunded",
     {"Your order {order} is refunded in part.", "Ihre Bestellung {order} ist teilweise erstattet."}},
    {"payment.late_refunded",
     {"Your payment[ of {amount}] for order {order} came too late and went back to you.",
      "Ihre Zahlung[ von {amount}] für Bestellung {order} kam zu spät und wurde erstattet."}},
    {"payment.conflict",
     {"The payment provider contradicts itself about order {order}[ of {user}]; its first word stands.",
      "Der Zahlungsdienst widerspricht sich bei Bestellung {order}[ von {user}]; sein erstes Wort gilt."}},
    {"payment.wrong_amount",
     {"The payment provider speaks of another amount of order {order}[ of {user}]; its word was not taken.",
      "Der Zahlungsdienst nennt für Bestellung {order}[ von {user}] einen anderen Betrag; sein Wort gilt nicht."}},
    {"reconciliation.differences",
     {"Statement {statement} differs from the ledger: {new} new differences, {open} open.",
      "Auszug {statement} weicht vom Kontobuch ab: {new} neue Abweichungen, {open} offen."}},
    {"stock.low",
     {"Stock of {sku} is low: {available} left[, the threshold is {threshold}].",
      "Der Bestand von {sku} ist niedrig: noch {available}[, die Schwelle ist {threshold}]."}},
    {"webhook.disabled",
     {"Your webhook {url} is switched off[: {reason}]. Enable it again once it works.",
      "Ihr Webhook {url} ist abgeschaltet[: {reason}]. Schalten Sie ihn wieder ein, sobald er antwortet."}},
    {"", {"[Your order {order} has changed.]", "[Ihre Bestellung {order} hat sich geändert.]"}},
};

std::string_view TextFor(std::string_view type, std::string_view language) {
  const auto found = std::find(kLanguages.begin(), kLanguages.end(), language);
  const auto index = found == kLanguages.end() ? 0 : static_cast<std::size_t>(found - kLanguages.begin());
  const Template* match = std::find_if(std::begin(kTemplates), std::end(kTemplates),
                                       [&](const Template& t) { return t.type == type || t.type.empty(); });
  return match->texts[index];
}

// Appends `part` to `out`; false where a value is missing or empty.
bool Fill(std::string_view part, const TemplateValues& values, std::string& out) {
  bool complete = true;
  for (;;) {
    const std::size_t open = part.find('{');
    out += part.substr(0, open);
    if (open == std::string_view::npos) return complete;
    const std::size_t close = part.find('}', open);
    const std::string_view name = part.substr(open + 1, close - open - 1);
    const auto value = std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == name; });
    if (value == values.end() || value->second.empty()) {
      complete = false;
    } else {
      out += value->second;
    }
    part.remove_prefix(close + 1);
  }
}

}  // namespace

std::span<const std::string_view> Languages() { return kLanguages; }

std::string Render(std::string_view type, std::string_view language, const TemplateValues& values) {
  std::string_view rest = TextFor(type, language);
  std::string text;
  while (!rest.empty()) {
    const std::size_t open = rest.find('[');
    Fill(rest.substr(0, open), values, text);
    if (open == std::string_view::npos) break;
    const std::size_t close = rest.find(']', open);
    std::string optional;
    if (Fill(rest.substr(open + 1, close - open - 1), values, optional)) text += optional;
    rest.remove_prefix(close + 1);
  }
  return text;
}

}  // namespace flotilla::notify
