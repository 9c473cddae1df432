// Darknet: a .weights file is a short header and floats; which floats they are says the .cfg, section by section, as src/parser.c of
// github.com/AlexeyAB/darknet reads both.
#include <charconv>
#include <map>
#include <optional>

#include "io/cursor.h"
#include "io/readers.h"

namespace fovea {

namespace {

struct Section {
    std::string kind;
    int line = 0;
    std::map<std::string, std::string, std::less<>> options;
};

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const std::size_t first = text.find_first_not_of(blank);
    return first == std::string_view::npos ? std::string_view{} : text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::vector<Section> parse_cfg(std::string_view text, std::string_view file) {
    constexpr std::size_t most_sections = 10'000;
    std::vector<Section> sections;
    for (int line = 1; !text.empty(); ++line) {
        const std::size_t end = text.find('\n');
        const std::string_view content = trimmed(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (content.empty() || content[0] == '#' || content[0] == ';') continue;
        if (content[0] == '[') {
            require<FormatError>(content.back() == ']' && sections.size() < most_sections, "read '{}': line {}: '{}' is no section", file, line, content.substr(0, 80));
            sections.push_back({.kind = std::string(content.substr(1, content.size() - 2)), .line = line});
            continue;
        }
        const std::size_t equal = content.find('=');
        require<FormatError>(equal != std::string_view::npos && !sections.empty(), "read '{}': line {}: 'name=value' is expected, got '{}'", file, line, content.substr(0, 80));
        sections.back().options[std::string(trimmed(content.substr(0, equal)))] = trimmed(content.substr(equal + 1));
    }
    require<FormatError>(!sections.empty() && (sections[0].kind == "net" || sections[0].kind == "network"), "read '{}': a Darknet .cfg begins with [net]", file);
    return sections;
}

/// Walks the sections with the size of what flows between them, as Darknet does when it sets the network up.
class DarknetReader {
public:
    DarknetReader(const Source& weights, std::string_view cfg_file) : file_(weights), cfg_(cfg_file) {}

    Parameters read(const std::vector<Section>& sections, Metadata* metadata) {
        const auto major = file_.number<std::int32_t>("the header"), minor = file_.number<std::int32_t>("the header"), revision = file_.number<std::int32_t>("the header");
        file_.check(major >= 0 && major < 1000 && minor >= 0 && minor < 1000 && revision >= 0, "version {}.{}.{} is none of Darknet's; a file of the other byte order?", major, minor, revision);
        const bool is_long = major * 10 + minor >= 2;
        const std::uint64_t seen = is_long ? file_.number<std::uint64_t>("the header") : file_.number<std::uint32_t>("the header");
        const std::size_t floats = file_.left() / sizeof(float);
        section_ = sections.data();
        now_ = {.channels = number("channels", 3), .height = number("height", 0), .width = number("width", 0)};
        for (index_ = 0; index_ + 1 < static_cast<std::int64_t>(sections.size()); ++index_) {
            section_ = &sections[static_cast<std::size_t>(index_) + 1];
            layer();
            require<FormatError>(now_.channels > 0 && now_.channels < (1 << 24), "read '{}': line {}: [{}] gives {} channels", cfg_, section_->line, section_->kind, now_.channels);
            outputs_.push_back(now_);
        }
        file_.check(file_.left() == 0, "the cfg '{}' asks for {} floats, the file has {}", cfg_, floats - file_.left() / sizeof(float), floats);
        if (metadata != nullptr) (*metadata)["darknet_version"] = fmt::format("{}.{}.{}", major, minor, revision), (*metadata)["seen"] = std::to_string(seen);
        return std::move(parameters_);
    }

private:
    struct Size {
        std::int64_t channels = 0, height = 0, width = 0;
    };

    std::int64_t whole(std::string_view text, std::string_view name) const {
        std::int64_t value = 0;
        text = trimmed(text);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        require<FormatError>(error == std::errc{} && end == text.data() + text.size() && value > -(1 << 24) && value < (1 << 24), "read '{}': line {}: {} of [{}] is a whole number, got '{}'", cfg_,
                             section_->line, name, section_->kind, text.substr(0, 40));
        return value;
    }
    std::int64_t number(std::string_view name, std::int64_t otherwise) const {
        const auto it = section_->options.find(name);
        return it == section_->options.end() ? otherwise : whole(it->second, name);
    }
    std::int64_t positive(std::string_view name, std::int64_t otherwise) const {
        const std::int64_t value = number(name, otherwise);
        require<FormatError>(value > 0, "read '{}': line {}: {} of [{}] must be positive, got {}", cfg_, section_->line, name, section_->kind, value);
        return value;
    }
    /// "-1, 8": sections before this one, or their numbers.
    std::vector<Size> sources(std::string_view option) const {
        std::vector<Size> sizes;
        const auto it = section_->options.find(option);
        require<FormatError>(it != section_->options.end(), "read '{}': line {}: [{}] names no {}", cfg_, section_->line, section_->kind, option);
        for (std::string_view list = it->second; !list.empty();) {
            const std::size_t comma = list.find(',');
            const std::int64_t given = whole(list.substr(0, comma), option), at = given < 0 ? index_ + given : given;
            require<FormatError>(at >= 0 && at < index_, "read '{}': line {}: [{}] refers to layer {}, there are {} before it", cfg_, section_->line, section_->kind, given, index_);
            sizes.push_back(outputs_[static_cast<std::size_t>(at)]);
            list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        }
        require<FormatError>(!sizes.empty(), "read '{}': line {}: {} of [{}] names no layer", cfg_, section_->line, option, section_->kind);
        return sizes;
    }

    void layer() {
        const std::string_view kind = section_->kind;
        const auto after = [&](std::int64_t size, std::int64_t kernel, std::int64_t pad, std::int64_t stride) { return (size + pad - kernel) / stride + 1; };
        if (kind == "convolutional" || kind == "conv") {
            const std::int64_t kernel = positive("size", 1), stride = positive("stride", 1), pad = number("pad", 0) != 0 ? kernel / 2 : number("padding", 0);
            convolution(positive("filters", 1), kernel, positive("groups", 1), number("batch_normalize", 0) != 0);
            now_ = {positive("filters", 1), after(now_.height, kernel, 2 * pad, positive("stride_y", stride)), after(now_.width, kernel, 2 * pad, positive("stride_x", stride))};
        } else if (kind == "connected" || kind == "conn") {
            connected(positive("output", 1), number("batch_normalize", 0) != 0);
        } else if (kind == "maxpool" || kind == "max" || kind == "local_avgpool") {
            const std::int64_t stride = positive("stride", 1), kernel = positive("size", stride), pad = number("padding", kernel - 1);
            now_ = {now_.channels, after(now_.height, kernel, pad, stride), after(now_.width, kernel, pad, stride)};
        } else if (kind == "avgpool" || kind == "avg") {
            now_ = {now_.channels, 1, 1};
        } else if (kind == "upsample") {
            const std::int64_t stride = positive("stride", 2);
            now_ = {now_.channels, now_.height * stride, now_.width * stride};
        } else if (kind == "reorg" || kind == "reorg3d") {
            const std::int64_t stride = positive("stride", 1);
            now_ = {now_.channels * stride * stride, now_.height / stride, now_.width / stride};
        } else if (kind == "route") {
            Size sum{};
            for (const Size& from : sources("layers")) sum = {sum.channels + from.channels, from.height, from.width};
            sum.channels /= positive("groups", 1);
            now_ = sum;
        } else if (kind == "shortcut" || kind == "scale_channels" || kind == "sam") {
            const Size from = sources("from").front();
            if (kind == "scale_channels") now_ = from;
        } else if (kind == "crop") {
            now_ = {now_.channels, number("crop_height", now_.height), number("crop_width", now_.width)};
        } else {
            constexpr std::string_view without[] = {"yolo", "region", "detection", "dropout", "softmax", "soft", "cost", "activation", "logistic", "l2norm", "normalization", "lrn"};
            require<FormatError>(std::ranges::find(without, kind) != std::end(without), "read '{}': line {}: layers [{}] are not read", cfg_, section_->line, kind);
        }
    }

    std::string path(std::string_view name) const { return fmt::format("layers.{}.{}", index_, name); }
    Tensor floats(const Shape& shape, std::string_view name) { return file_.floats(shape, path(name)); }
    struct Norm {
        Tensor weight, mean, variance;
    };
    Norm read_norm(std::int64_t channels) {
        Tensor weight = floats({channels}, "bn.weight"), mean = floats({channels}, "bn.running_mean");
        return {weight, mean, floats({channels}, "bn.running_var")};
    }
    /// Under PyTorch's names and in PyTorch's order.
    void keep(std::string_view layer, const Tensor& weight, const Tensor& bias, const std::optional<Norm>& norm) {
        parameters_.set(path(fmt::format("{}.weight", layer)), weight);
        if (!norm) return parameters_.set(path(fmt::format("{}.bias", layer)), bias);
        parameters_.set(path("bn.weight"), norm->weight), parameters_.set(path("bn.bias"), bias);
        parameters_.set(path("bn.running_mean"), norm->mean), parameters_.set(path("bn.running_var"), norm->variance);
    }

    void convolution(std::int64_t filters, std::int64_t kernel, std::int64_t groups, bool has_norm) {
        require<FormatError>(now_.channels % groups == 0 && filters % groups == 0, "read '{}': line {}: {} channels and {} filters in {} groups", cfg_, section_->line, now_.channels, filters, groups);
        const Tensor bias = floats({filters}, has_norm ? "bn.bias" : "conv.bias");
        std::optional<Norm> norm;
        if (has_norm) norm = read_norm(filters);
        keep("conv", floats({filters, now_.channels / groups, kernel, kernel}, "conv.weight"), bias, norm);
    }

    void connected(std::int64_t outputs, bool has_norm) {
        const Tensor bias = floats({outputs}, "linear.bias");
        require<FormatError>(now_.height > 0 && now_.width > 0, "read '{}': line {}: nothing of {} x {} reaches [{}]", cfg_, section_->line, now_.height, now_.width, section_->kind);
        const Tensor weight = floats({outputs, now_.channels * now_.height * now_.width}, "linear.weight");
        std::optional<Norm> norm;
        if (has_norm) norm = read_norm(outputs);
        keep("linear", weight, bias, norm);
        now_ = {outputs, 1, 1};
    }

    Cursor file_;
    std::string_view cfg_;
    const Section* section_ = nullptr;
    std::int64_t index_ = 0;
    Size now_;
    std::vector<Size> outputs_;
    Parameters parameters_;
};

}  // namespace

Parameters read_darknet(const Source& source, const Source& cfg, Metadata* metadata) {
    const std::string_view text(reinterpret_cast<const char*>(cfg.bytes.data()), cfg.bytes.size());
    return DarknetReader(source, cfg.name).read(parse_cfg(text, cfg.name), metadata);
}

}  // namespace fovea
