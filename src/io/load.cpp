// Any weights file by its content, and matching its names to a network's.
#include <algorithm>

#include "core/text.h"
#include "io/readers.h"

namespace fovea {

Parameters load_weights(const std::string& path, Metadata* metadata) {
    const MappedFile file(path);
    const auto bytes = file.bytes();
    require<FormatError>(bytes.size() >= 8, "load '{}': {} bytes are too few for any weights file", path, bytes.size());
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const bool is_zip = byte(0) == 'P' && byte(1) == 'K', is_pickle = byte(0) == 0x80 && byte(1) >= 2 && byte(1) <= 5;
    if (is_zip || is_pickle) return read_pytorch({file, path}, metadata);
    // A safetensors header is JSON text right behind its length.
    if (bytes.size() > 8 && byte(8) == '{') return read_safetensors({file, path}, metadata);
    fail<FormatError>("load '{}': neither safetensors nor a file of torch.save (begins {:02x} {:02x} {:02x} {:02x})", path, byte(0), byte(1), byte(2), byte(3));
}

namespace {

/// "missing 'a' [2], 'b' [3] and 7 more"
std::string some(const std::vector<std::string>& names, const Parameters& parameters) {
    constexpr std::size_t shown = 3;
    std::string text;
    for (std::size_t i = 0; i < std::min(shown, names.size()); ++i) text += fmt::format("{}'{}' {}", i == 0 ? "" : ", ", names[i], parameters.at(names[i]).shape());
    if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
    return text;
}

std::string describe(const LoadReport& report, const Parameters& target, const Parameters& source, const LoadOptions& options) {
    std::vector<std::string> parts;
    const bool says_missing = !report.missing.empty() && !options.allow_missing, says_unexpected = !report.unexpected.empty() && !options.allow_unexpected;
    if (!report.mismatched.empty()) {
        parts.push_back(report.mismatched.front());
        if (report.mismatched.size() > 1) parts.back() += fmt::format(" and {} more of another shape", report.mismatched.size() - 1);
    }
    if (says_missing) parts.push_back("missing " + some(report.missing, target));
    if (says_unexpected) {
        const auto same_shape = std::ranges::find_if(report.unexpected, [&](const auto& name) {
            return !report.missing.empty() && source.at(name).shape() == target.at(report.missing.front()).shape();
        });
        if (says_missing && same_shape != report.unexpected.end())
            parts.push_back(fmt::format("unexpected '{}' has that shape. Renamed?", *same_shape));
        else
            parts.push_back("unexpected " + some(report.unexpected, source));
    }
    return fmt::format("load '{}': {}", options.name, fmt::join(parts, "; "));
}

}  // namespace

LoadReport load_into(Parameters& target, const Parameters& source, const LoadOptions& options) {
    const bool strip = !options.strip_prefix.empty() && source.size() > 0 &&
                       std::ranges::all_of(source.names(), [&](const std::string& name) { return name.starts_with(options.strip_prefix); });
    Parameters given;
    for (const auto& name : source.names()) given.set(strip ? std::string_view(name).substr(options.strip_prefix.size()) : std::string_view(name), source.at(name));
    LoadReport report;
    for (const auto& name : target.names()) {
        if (!given.has(name)) {
            // A counter that PyTorch added in 0.4.1 and nothing reads: older files lack it.
            if (!name.ends_with("num_batches_tracked")) report.missing.push_back(name);
        } else if (given.at(name).shape() != target.at(name).shape()) {
            report.mismatched.push_back(fmt::format("'{}' is {} in the network and {} in the file", name, target.at(name).shape(), given.at(name).shape()));
        }
    }
    for (const auto& name : given.names())
        if (!target.has(name)) report.unexpected.push_back(name);
    const bool is_fine = report.mismatched.empty() && (report.missing.empty() || options.allow_missing) && (report.unexpected.empty() || options.allow_unexpected);
    if (!is_fine) throw FormatError(describe(report, target, given, options));
    for (const auto& name : target.names())
        if (given.has(name)) target.set(name, given.at(name).to(target.at(name).dtype()).clone());
    return report;
}

}  // namespace fovea
