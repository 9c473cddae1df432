#include "train/same_run.h"

#include <algorithm>
#include <bit>

#include "core/text.h"

namespace fovea {

namespace {

constexpr std::string_view another_run = "it would not continue the same run";

struct Difference {
    std::string key;
    Json then, now;
};

/// Of an optimiser, a schedule or a step; empty where there is none.
std::string name_in(const Json& json) { return json.contains("name") && json.at("name").is_string() ? json.at("name").get<std::string>() : ""; }

/// Lists of the same steps in the same order, or of as many groups.
bool are_alike(const Json& then, const Json& now) {
    const auto is_same_kind = [](const Json& a, const Json& b) { return a.is_object() && b.is_object() && name_in(a) == name_in(b); };
    return then.is_array() && now.is_array() && std::equal(then.begin(), then.end(), now.begin(), now.end(), is_same_kind);
}

/// The settings that differ, objects key by key: "optimizer.lr", "augment.random_crop.padding".
void compare(const std::string& key, const Json& then, const Json& now, std::vector<Difference>& differences) {
    if (then == now) return;
    if (then.is_object() && now.is_object()) {
        // Another optimiser or schedule has other options: its name says it all.
        if (name_in(then) != name_in(now)) return compare(key + ".name", Json(name_in(then)), Json(name_in(now)), differences);
        for (const auto& [name, value] : then.items()) compare(key + "." + name, value, now.contains(name) ? now.at(name) : Json(), differences);
        for (const auto& [name, value] : now.items())
            if (!then.contains(name)) compare(key + "." + name, Json(), value, differences);
        return;
    }
    if (are_alike(then, now)) {
        for (std::size_t i = 0; i < then.size(); ++i) {
            const std::string name = name_in(then[i]);
            compare(key + "." + (name.empty() ? std::to_string(i + 1) : name), then[i], now[i], differences);
        }
        return;
    }
    differences.push_back({key, then, now});
}

/// A value in a sentence: steps by their names, long texts cut.
std::string words(const Json& value) {
    if (value.is_null() || ((value.is_array() || value.is_object()) && value.empty())) return "nothing";
    if (value.is_object()) return value.contains("name") ? words(value.at("name")) : fmt::format("{} settings", value.size());
    if (value.is_array() && value.front().is_object()) {
        std::string text;
        for (const Json& item : value) text += (text.empty() ? "" : ", ") + words(item);
        return text;
    }
    constexpr std::size_t longest = 80;
    std::string text = value.dump();
    if (text.size() <= longest) return text;
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole letters
    return text.substr(0, end) + "...";
}

void require_same(const Json& then, const Json& now, const std::vector<std::string>& keys, std::string_view file) {
    std::vector<Difference> differences;
    for (const std::string& key : keys) compare(key, then.contains(key) ? then.at(key) : Json(), now.contains(key) ? now.at(key) : Json(), differences);
    if (differences.empty()) return;
    constexpr std::size_t most = 4;
    std::string text;
    for (std::size_t i = 0; i < std::min(most, differences.size()); ++i) {
        const Difference& d = differences[i];
        text += fmt::format("{} {} {}, this run has {}", i == 0 ? "" : "; with", d.key, words(d.then), words(d.now));
    }
    if (differences.size() > most) text += fmt::format("; {} more settings differ", differences.size() - most);
    fail<ArgumentError>("'{}' was made with{}: {}", file, text, another_run);
}

void require_same_classes(const Json& then, const Json& now, const Dataset& train, std::string_view file) {
    if (then == now) return;
    require<ArgumentError>(then.size() == now.size(), "'{}' was trained on {} classes, '{}' has {} by now: {}", file, then.size(), train.name(), now.size(), another_run);
    for (std::size_t c = 0; c < then.size(); ++c)
        require<ArgumentError>(then.at(c) == now.at(c), "'{}' was trained with class {} called {}, '{}' calls it {} by now: {}", file, c, words(then.at(c)), train.name(), words(now.at(c)), another_run);
}

/// The numbers of pictures are compared before; a checkpoint of before there were fingerprints has none.
void require_same_pictures(const Json& then, const Json& now, const std::string& key, std::string_view what, const Json& set, std::string_view file) {
    require<ArgumentError>(!then.contains(key) || !now.contains(key) || then.at(key) == now.at(key), "'{}' was {} other pictures or labels than {} holds by now: {}", file, what, words(set), another_run);
}

/// As it reads once written: NaN is null, a text that is no UTF-8 has its bad bytes replaced.
Json as_written(const Json& json) { return Json::parse(json.dump(-1, ' ', false, Json::error_handler_t::replace)); }

}  // namespace

std::string picture_fingerprint(const Dataset& dataset) {
    std::uint64_t hash = 0xCBF29CE484222325ull;
    const auto add = [&](std::uint64_t word) { hash = (hash ^ word) * 0x9E3779B97F4A7C15ull, hash ^= hash >> 29; };
    for (const std::string& name : dataset.classes()) add(hash_name(name));
    const std::int64_t size = dataset.size(), stride = 1 + size / 1'000'000;
    add(static_cast<std::uint64_t>(size));
    for (std::int64_t i = 0; i < size; i += stride) {
        add(hash_name(dataset.key(i)));
        for (const std::int64_t label : dataset.tags(i)) add(static_cast<std::uint64_t>(label));
        add(std::bit_cast<std::uint64_t>(dataset.weight(i)));
    }
    return fmt::format("{:016x}", hash);
}

void require_same_run(const Json& facts, const Json& recipe, const Dataset& train, std::string_view file) {
    const Json &then = facts.at("recipe"), now = as_written(recipe);
    // The pictures first: other options of the network may only follow from them.
    require_same(then, now, {"dataset", "images"}, file);
    if (facts.contains("classes")) require_same_classes(facts.at("classes"), as_written(train.classes()), train, file);
    require_same_pictures(then, now, "pictures", "trained on", now.at("dataset"), file);
    require_same(then, now, {"validation"}, file);
    require_same_pictures(then, now, "validation_pictures", "tested on", now.at("validation"), file);
    require_same(then, now, {"model", "listing"}, file);
    std::vector<std::string> others;
    for (const auto& [key, value] : now.items())
        if (key != "pictures" && key != "validation_pictures") others.push_back(key);
    require_same(then, now, others, file);
}

}  // namespace fovea
