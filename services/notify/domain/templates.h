// The words of notifications: one template per event type and language.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flotilla::notify {

// What stands for {name} in a template.
using TemplateValues = std::vector<std::pair<std::string_view, std::string>>;

inline constexpr std::string_view kDefaultLanguage = "en";
std::span<const std::string_view> Languages();

// One line for people. A language that is not known gets the default one, a type that is not known a general line. A
// template's optional part, [in brackets], is left out where one of its values is missing or empty.
std::string Render(std::string_view type, std::string_view language, const TemplateValues& values);

}  // namespace flotilla::notify
